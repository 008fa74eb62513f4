import type { z } from 'zod';
import type { Actor } from '../../../domain/access/can.ts';
import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { createInvitation, type InvitationRow, type ProjectGrant } from '../../../db/repositories/invitations.ts';
import { findProject } from '../../../db/repositories/projects.ts';
import { withTransaction } from '../../../db/transaction.ts';
import { mailAddress } from '../../auth/accountFields.ts';
import { checkGrant } from '../../auth/grantFields.ts';
import { linkTo } from '../../auth/publicUrl.ts';
import { roleRights } from '../../auth/roleRights.ts';
import type { Deps } from '../../deps.ts';
import type { CreateInvitation } from './schemas.ts';

/** `token` and `link` are null when the link went by mail. */
type Made = { invitation: InvitationRow; token: string | null; link: string | null };

/** Invites somebody. @throws Problem invalid_request, forbidden, not_found, unknown_role, quota_exceeded */
export async function invite(deps: Deps, actor: Actor, body: z.output<typeof CreateInvitation>): Promise<Made> {
  const { workspace, principal: by } = actor;
  const { config } = deps;
  const email = body.email === undefined ? undefined : mailAddress(body.email);
  checkGrant(actor, await roleRights(deps, { workspace, name: body.role }), 'The role');
  const projects = await projectsOf(deps, actor, body.projects);
  await deps.quotas.check(workspace, 'members');
  const now = deps.clock();
  const mailed = email !== undefined && sendsMail(deps);
  const ttlMs = ttlOf(body.expiresAt, { now, config });
  const wanted = { workspace, email: email?.shown ?? null, mailed, role: body.role, projects, by, now, ttlMs };
  const made = await withTransaction(deps.engine, async (tx) => {
    const created = await createInvitation(tx, { ...wanted, max: config.TIU_MAX_INVITATIONS });
    if (!created) throw new Problem('quota_exceeded', { detail: `At most ${config.TIU_MAX_INVITATIONS} open invitations` });
    const link = linkTo(config, 'invitation', created.token);
    if (mailed) await deps.mail.post(tx, { to: email.shown, ttlMs, ...mailOf(link, created.invitation.expires) });
    return { ...created, link };
  });
  return mailed ? { ...made, token: null, link: null } : made;
}

/** Without mail the link is in the answer. @throws Problem overloaded */
function sendsMail({ mail }: Deps): boolean {
  try {
    mail.check();
    return true;
  } catch (error) {
    if (error instanceof Problem && error.code === 'not_configured') return false;
    throw error;
  }
}

const mailOf = (link: string, expires: string) => ({
  subject: 'You are invited',
  text: `You are invited to a workspace of TIU. To accept, open until ${new Date(expires).toISOString()}:

${link}

If you do not know what this is about, nothing has to be done.
`,
});

function ttlOf(expiresAt: string | undefined, { now, config }: { now: number; config: Deps['config'] }): number {
  if (expiresAt === undefined) return Math.min(config.TIU_INVITATION_TTL, config.TIU_MAX_INVITATION_TTL);
  const ttlMs = Date.parse(expiresAt) - now;
  if (ttlMs <= 0) throw invalidField('/expiresAt', 'must lie ahead');
  if (ttlMs > config.TIU_MAX_INVITATION_TTL)
    throw invalidField('/expiresAt', `is more than ${config.TIU_MAX_INVITATION_TTL / 1_000} s ahead`);
  return ttlMs;
}

/** Roles in projects, by their ids. */
const projectsOf = (deps: Deps, actor: Actor, wanted: z.output<typeof CreateInvitation>['projects']): Promise<ProjectGrant[]> =>
  Promise.all(
    wanted.map(async ({ project: name, role }) => {
      const { workspace } = actor;
      const project = await findProject(deps.engine, { workspace, name });
      if (!project) throw new Problem('not_found', { detail: `No project ${name}` });
      checkGrant(actor, await roleRights(deps, { workspace, name: role }), `The role in ${name}`);
      return { project: project.id, role };
    }),
  );
