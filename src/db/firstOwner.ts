import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import type { Database } from './pool.ts';
import { createInvitation } from './repositories/invitations.ts';
import { withTransaction } from './transaction.ts';

/** Who invites the first owner. */
const SETUP = 'setup';

/**
 * An invitation for who is to run the installation: owner of the system workspace and of the named one. The one before ends.
 * @param of.workspace id  @param of.now ms since the epoch
 * @returns its token; undefined = the system workspace has an owner
 */
export async function inviteFirstOwner(
  db: Pick<Database, 'pool' | 'rows'>,
  of: { workspace: string; now: number; ttlMs: number },
): Promise<string | undefined> {
  const [{ owned } = { owned: false }] = await db.rows<{ owned: boolean }>({
    name: 'first_owner',
    text: `with i as (update invitation set settled = clock_timestamp(), outcome = 'revoked' where operator and settled is null)
      select exists (select from membership m join account a on a.id = m.account and a.status = 'active'
        where m.workspace = $1 and m.role = 'owner' and (m.expires is null or m.expires > clock_timestamp())) as owned`,
    values: [SYSTEM_WORKSPACE],
  });
  if (owned) return undefined;
  const { workspace, now, ttlMs } = of;
  const invitation = { workspace, email: null, mailed: false, role: 'owner', projects: [], by: SETUP, now, ttlMs, max: 1_000_000 };
  return (await withTransaction(db, (tx) => createInvitation(tx, { ...invitation, operator: true })))?.token;
}
