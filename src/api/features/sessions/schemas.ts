import { z } from 'zod';
import { ALL_ACTIONS } from '../../../domain/access/actions.ts';
import { SessionGrant } from '../../auth/sessionGrant.ts';
import { maybeTime, text, time } from '../../schemas.ts';

const uuid = z.string().meta({ format: 'uuid' });
const Workspace = z.object({ id: uuid, name: z.string() });
const role = z.string().nullable().meta({ description: 'null = a member of no workspace' });

export const Switched = SessionGrant.omit({ refreshToken: true }).meta({ id: 'SwitchedSession', description: 'The refresh token stays' });

const Session = z
  .object({
    id: uuid,
    workspace: uuid,
    device: z.string().nullable(),
    method: z.string().meta({ description: 'How the person signed in' }),
    mfa: z.boolean().meta({ description: 'Whether with a second factor' }),
    remember: z.boolean(),
    ip: z.string(),
    userAgent: z.string(),
    createdAt: time,
    lastActivityAt: time.meta({ description: 'By the minute' }),
    expiresAt: time,
    current: z.boolean().meta({ description: 'The one that asks' }),
  })
  .meta({ id: 'Session' });
export const SessionList = z.object({ items: z.array(Session) }).meta({ id: 'SessionList' });

export const Me = z
  .object({
    id: uuid,
    name: z.string(),
    email: z.string().nullable(),
    emailVerified: z.boolean(),
    fullName: z.string().nullable(),
    createdAt: time,
    lastLoginAt: maybeTime,
    session: z.object({ id: uuid, provedAt: time.meta({ description: 'When the person last proved who they are' }) }),
    secondFactorRequired: z.boolean().meta({ description: 'A second factor is to be set up or shown before anything else' }),
    workspace: Workspace.nullable(),
    role,
    permissions: z.array(z.enum(ALL_ACTIONS)).meta({ description: 'Actions on anything in the workspace' }),
    ownPermissions: z.array(z.enum(ALL_ACTIONS)).meta({ description: 'Besides, on what the person has made' }),
    memberships: z.array(z.object({ workspace: Workspace, role: z.string(), expiresAt: maybeTime })),
  })
  .meta({ id: 'Me' });

export const Jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string(), alg: z.string() })) }).meta({ id: 'Jwks' });

export const Ticket = z.object({ ticket: z.string(), expiresIn: z.int().meta({ description: 'Seconds' }) }).meta({ id: 'SocketTicket' });

export const refreshRequest = z
  .strictObject({ refreshToken: text(200).optional().meta({ description: 'Without it the one of the cookie' }) })
  .default({})
  .meta({ id: 'RefreshSession' });
export const logoutRequest = z
  .strictObject({ all: z.boolean().default(false).meta({ description: 'All sessions of the person' }) })
  .default({ all: false })
  .meta({ id: 'Logout' });
export const switchRequest = z.strictObject({ workspace: z.uuid() }).meta({ id: 'SwitchWorkspace' });
