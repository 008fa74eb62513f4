import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../pool.ts';
import { endSessions } from '../sessions.ts';
import { withTransaction, type Rows } from '../transaction.ts';

/** A person as operators see them. */
export type UserRow = {
  id: string;
  /** Accounts are of the installation. */
  workspace: string;
  name: string;
  full_name: string | null;
  email: string | null;
  email_verified: string | null;
  status: 'active' | 'disabled' | 'erased';
  created: string;
  created_by: string;
  last_login: string | null;
  workspaces: number;
};

const COLUMNS = `u.id, u.workspace, u.name, u.full_name, u.email, u.email_verified, u.status, u.created, u.created_by, u.last_login,
  (select count(*)::int from membership m where m.account = u.id and (m.expires is null or m.expires > clock_timestamp())) as workspaces`;

type UserFilter = { search?: string | undefined; status?: string | undefined };

/** Newest first. @param filter.search found in name, full name or mail address @param page.before id of the last one of the page before */
export const listUsers = (db: Rows, filter: UserFilter, page: { before: string | undefined; limit: number }): Promise<UserRow[]> =>
  db.rows<UserRow>({
    name: 'user_list',
    text: `select ${COLUMNS} from account u where ($1::uuid is null or u.id < $1) and ($2::text is null or u.status = $2)
        and ($3::text is null or position($3 in u.name_key) > 0 or position($3 in u.email_key) > 0 or position($3 in lower(u.full_name)) > 0)
      order by u.id desc limit $4`,
    values: [page.before ?? null, filter.status ?? null, filter.search?.normalize('NFKC').toLowerCase() ?? null, page.limit],
  });

export async function findUser(db: Rows, id: string): Promise<UserRow | undefined> {
  const rows = await db.rows<UserRow>({ name: 'user_find', text: `select ${COLUMNS} from account u where u.id = $1`, values: [id] });
  return rows[0];
}

/**
 * Lets somebody sign in, or no longer: then their sessions end, and what they have invited to. Operators take turns, so that of two
 * who disable each other one stays.
 * @param change.account of the operator; undefined = a key of nobody's
 * @returns unchanged = it was so before; refused = the operator has been disabled meanwhile
 */
export function setUserStatus(
  db: Pick<Database, 'pool'>,
  id: string,
  change: { status: 'active' | 'disabled'; by: string; account: string | undefined },
): Promise<'changed' | 'unchanged' | 'refused'> {
  const { status, by, account } = change;
  return withTransaction(db, async (tx) => {
    await tx.rows({ name: 'user_turn', text: 'select from workspace where id = $1 for no key update', values: [SYSTEM_WORKSPACE] });
    const active = await tx.rows({
      name: 'user_is_active',
      text: `select 1 from account where id = $1 and status = 'active'`,
      values: [account ?? null],
    });
    if (account !== undefined && active.length === 0) return 'refused';
    const rows = await tx.rows({
      name: 'user_set_status',
      text: `with b as (select id, status from account where id = $1),
        u as (update account set status = $2, version = version + 1 where id = $1 and status <> $2 and status <> 'erased' returning *),
        i as (update invitation set settled = clock_timestamp(), outcome = 'revoked' where $2 = 'disabled' and settled is null and created_by in (select 'user:' || id from u)),
        a as (${auditInto(4, {
          ...{ from: 'u join b on b.id = u.id', workspace: 'u.workspace', actor: '$3', object: `'user:' || u.id` },
          action: `case $2 when 'active' then 'account.activated' else 'account.disabled' end`,
          ...{ before: `json_build_object('status', b.status)`, after: `json_build_object('status', u.status)` },
        })})
        select 1 from u`,
      values: [id, status, by, ...auditValues()],
    });
    if (rows.length === 0) return 'unchanged';
    if (status === 'disabled') await endSessions(tx, { account: id, reason: 'disabled', by });
    return 'changed';
  });
}
