import type { Scope } from '../domain/access/actions.ts';
import type { Grants } from '../domain/access/actors.ts';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import type { Database } from './database.ts';
import { isOpen } from './sessions.ts';
import { tokenHash } from './oneTime.ts';

type Rows = Pick<Database, 'rows'>;

/** `until`: when it ends or lessens by itself; `idle`: nobody has noted its use for a minute. Times in ms since the epoch. */
type Known = { until: number | null; idle: boolean };
type SessionHolder = Known & Grants & { account: string; name: string; workspace: string; provedAt: number };
type KeyHolder = Known & Grants & { id: string; workspace: string; scopes: Scope[]; account: string | null };

const MINUTE = `interval '1 minute'`;
const ms = (at: string): string => `(extract(epoch from ${at}) * 1000)::float8`;
const time = (n: number): string => `to_timestamp($${n}::float8 / 1000)`;

/** Membership `m` of a holder, its role, and what it has in projects `g`. @param now number of the parameter of the time */
const grantsOf = (holder: string, now: number): string =>
  `left join membership m on m.account = ${holder}.account and m.workspace = ${holder}.workspace and (m.expires is null or m.expires > ${time(now)})
  left join role r on r.workspace = m.workspace and r.name = m.role
  left join lateral (select json_agg(json_build_object('project', p.project, 'role', p.role, 'actions', q.actions)) as list, min(p.expires) as until
    from project_member p left join role q on q.workspace = p.workspace and q.name = p.role
    where p.workspace = m.workspace and p.account = m.account and (p.expires is null or p.expires > ${time(now)})) g on true`;

const GRANTS = `case when m.role is not null then json_build_object('role', m.role, 'actions', r.actions) end as grant, coalesce(g.list, '[]') as projects`;

/** Of whom the installation requires a second factor; workspaces may besides. */
export type MfaRule = 'off' | 'operators' | 'all';
export type HolderQuery = { now: number; require: MfaRule };

/** Whether a second factor is required of a holder where it acts. @param rule number of the parameter of the rule */
const required = (holder: string, rule: number): string =>
  `($${rule}::text = 'all' or coalesce((select w.require_mfa from workspace w where w.id = ${holder}.workspace), false)
    or ($${rule} = 'operators' and exists (select from membership o where o.account = ${holder}.account and o.workspace = '${SYSTEM_WORKSPACE}'
      and (o.expires is null or o.expires > clock_timestamp()))))`;

/** Whose session it is, and what they may do where it acts; undefined unless it is open and its account active. */
export async function findSessionHolder(db: Rows, session: string, { now, require }: HolderQuery): Promise<SessionHolder | undefined> {
  const rows = await db.rows<SessionHolder>({
    name: 'session_holder',
    text: `select s.account, a.name, s.workspace, ${ms('s.proved')} as "provedAt", ${ms('least(s.expires, s.active + s.idle, m.expires, g.until)')} as until,
        s.active < ${time(2)} - ${MINUTE} as idle, not s.mfa and ${required('s', 3)} as unproven, ${GRANTS}
      from session s join account a on a.id = s.account and a.status = 'active' ${grantsOf('s', 2)}
      where s.id = $1 and ${isOpen(2)}`,
    values: [session, now, require],
  });
  return rows[0];
}

const KEY = /^tiu_[0-9a-f]{32}_[A-Za-z0-9_-]{43}$/;

/** Whose key this is; undefined for one that is malformed, unknown, revoked or expired, or of somebody who is no member any more. */
export async function findKeyHolder(db: Rows, key: string, { now, require }: HolderQuery): Promise<KeyHolder | undefined> {
  if (!KEY.test(key)) return undefined;
  const rows = await db.rows<KeyHolder>({
    name: 'key_holder',
    text: `select k.id, k.workspace, k.scopes, k.account, ${ms('least(k.expires, m.expires, g.until)')} as until,
        k.last_used is null or k.last_used < ${time(2)} - ${MINUTE} as idle,
        k.account is not null and not exists (select from totp f where f.account = k.account and f.confirmed is not null)
          and not exists (select from passkey f where f.account = k.account) and ${required('k', 3)} as unproven, ${GRANTS}
      from api_key k left join account a on a.id = k.account and a.status = 'active' ${grantsOf('k', 2)}
      where k.hash = $1 and k.revoked is null and (k.expires is null or k.expires > ${time(2)})
        and (k.account is null or (a.id is not null and m.role is not null))`,
    values: [tokenHash(key), now, require],
  });
  return rows[0];
}

/** Notes that a session was used. */
export async function touchSession(db: Rows, session: string, now: number): Promise<void> {
  await db.rows({
    name: 'session_touch',
    text: `update session set active = ${time(2)} where id = $1 and active < ${time(2)} - ${MINUTE}`,
    values: [session, now],
  });
}

/** Notes that a key was used, at most once a minute. */
export async function touchApiKey(db: Rows, id: string): Promise<void> {
  await db.rows({
    name: 'key_touch',
    text: `update api_key set last_used = clock_timestamp() where id = $1 and (last_used is null or last_used < clock_timestamp() - ${MINUTE})`,
    values: [id],
  });
}
