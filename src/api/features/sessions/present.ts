import type { Actor } from '../../../domain/access/can.ts';
import type { Profile } from '../../../db/profile.ts';
import type { SessionInfo } from '../../../db/sessions.ts';
import { iso, maybeIso } from '../../time.ts';

export const presentSession = (row: SessionInfo, current: string) => ({
  id: row.id,
  workspace: row.workspace,
  device: row.device,
  method: row.method,
  mfa: row.mfa,
  remember: row.remember,
  ip: row.ip,
  userAgent: row.user_agent,
  createdAt: iso(row.created),
  lastActivityAt: iso(row.active),
  expiresAt: iso(row.expires),
  current: row.id === current,
});

export function presentMe(profile: Profile, of: { actor: Actor; session: { id: string; provedAt: number } }) {
  const { actor, session } = of;
  const here = profile.memberships.find(({ workspace }) => workspace.id === actor.workspace);
  return {
    id: profile.id,
    name: profile.name,
    email: profile.email,
    emailVerified: profile.email_verified !== null,
    fullName: profile.full_name,
    createdAt: iso(profile.created),
    lastLoginAt: maybeIso(profile.last_login),
    session: { id: session.id, provedAt: new Date(session.provedAt).toISOString() },
    secondFactorRequired: actor.unproven ?? false,
    workspace: here?.workspace ?? null,
    role: here?.role ?? null,
    permissions: [...actor.actions].sort(),
    ownPermissions: [...actor.own].filter((action) => !actor.actions.has(action)).sort(),
    memberships: profile.memberships.map(({ workspace, role, expires }) => ({ workspace, role, expiresAt: maybeIso(expires) })),
  };
}
