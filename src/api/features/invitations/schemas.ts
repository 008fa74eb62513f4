import { z } from 'zod';
import { expiresAt, roleName } from '../../auth/grantFields.ts';
import { projectName } from '../../runs/schemas.ts';
import { listOf, page, text, time } from '../../schemas.ts';

const Invitation = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    email: z.string().nullable(),
    mailed: z.boolean().meta({ description: 'Its link was sent to the address' }),
    role: z.string(),
    projects: z.array(z.object({ projectId: z.string().meta({ format: 'uuid' }), role: z.string() })),
    createdAt: time,
    createdBy: z.string(),
    expiresAt: time,
  })
  .meta({ id: 'Invitation' });
export const InvitationList = listOf(Invitation).meta({ id: 'InvitationList' });
const shownOnce = 'Shown here and never again; null if it was mailed, and when the answer is replayed';
export const NewInvitation = Invitation.extend({
  token: z.string().nullable().meta({ description: shownOnce }),
  link: z.string().nullable().meta({ description: shownOnce }),
}).meta({ id: 'NewInvitation' });

export const CreateInvitation = z
  .strictObject({
    email: text(320).optional().meta({ description: 'The link is mailed there, if this installation sends mail' }),
    role: roleName,
    projects: z
      .array(z.strictObject({ project: projectName, role: roleName }))
      .max(100)
      .default([])
      .meta({ description: 'Roles in projects, besides' }),
    expiresAt: expiresAt.optional().meta({ description: 'Until when it can be accepted' }),
  })
  .meta({ id: 'CreateInvitation' });

const token = text(200).meta({ writeOnly: true });
export const AcceptInvitation = z
  .strictObject({
    token,
    name: text(100).meta({ description: 'What one wants to be called: 3 to 50 letters, digits and underscores' }),
    email: text(320).optional().meta({ description: 'Instead of the address that was invited; it is to be verified then' }),
    fullName: text(200).optional(),
    password: z.string().max(1_000).meta({ writeOnly: true }),
    device: text(200).optional(),
  })
  .meta({ id: 'AcceptInvitation' });
export const JoinWorkspace = z.strictObject({ token }).meta({ id: 'JoinWorkspace' });

export const Joined = z
  .object({ workspace: z.string().meta({ format: 'uuid' }), role: z.string() })
  .meta({ id: 'JoinedWorkspace', description: 'Where one is a member now; the session goes there by `POST /auth/switch`' });

export const invitationParams = z.object({ id: z.string() });
export const invitationsQuery = z.strictObject(page);
