import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import { auditInto, auditValues } from './audit.ts';
import type { Database } from './database.ts';
import { isOpen, type SessionPlace } from './sessions.ts';

type Rows = Pick<Database, 'rows'>;

/** `remember`: whether the client keeps it longer than the browser is open. */
export type RefreshedPlace = SessionPlace & { remember: boolean };

const time = (n: number): string => `to_timestamp($${n}::float8 / 1000)`;
const PLACE = 's.id, s.account, s.workspace, s.remember, m.role';
/** @param now number of the parameter of the time */
const member = (now: number): string =>
  `left join membership m on m.account = s.account and m.workspace = s.workspace and (m.expires is null or m.expires > ${time(now)})`;

/**
 * Changes a refresh token for its successor: of those who ask at once one does. All are hashes.
 * @param change.now ms since the epoch
 * @returns undefined unless the token was unused, its session open and the account active
 */
export async function rotateRefreshToken(
  db: Rows,
  change: { token: Buffer; successor: Buffer; ip: string; userAgent: string; now: number },
): Promise<RefreshedPlace | undefined> {
  const rows = await db.rows<RefreshedPlace>({
    name: 'refresh_rotate',
    text: `with t as (update refresh_token t set used = ${time(3)}, successor = $2 from session s, account a
        where t.hash = $1 and t.used is null and s.id = t.session and ${isOpen(3)} and a.id = s.account and a.status = 'active' returning t.session),
      n as (insert into refresh_token (hash, session, created) select $2, t.session, ${time(3)} from t),
      s as (update session s set active = greatest(s.active, ${time(3)}), ip = $4, user_agent = $5 from t where s.id = t.session returning s.*)
      select ${PLACE} from s ${member(3)}`,
    values: [change.token, change.successor, change.now, change.ip, change.userAgent],
  });
  return rows[0];
}

/** What became of a refresh token. `usedMs` since it was used; `isOpen`: its session, with an active account. */
export type UsedToken = RefreshedPlace & { successor: Buffer | null; usedMs: number | null; isOpen: boolean };

export async function findUsedToken(db: Rows, query: { token: Buffer; now: number }): Promise<UsedToken | undefined> {
  const rows = await db.rows<UsedToken>({
    name: 'refresh_used',
    text: `select t.successor, (extract(epoch from ${time(2)} - t.used) * 1000)::float8 as "usedMs", ${isOpen(2)} and a.status = 'active' as "isOpen", ${PLACE}
      from refresh_token t join session s on s.id = t.session join account a on a.id = s.account ${member(2)} where t.hash = $1`,
    values: [query.token, query.now],
  });
  return rows[0];
}

/**
 * Ends the session of a refresh token that somebody has used twice: one of them is not whom it was given to.
 * @returns false if it has ended before
 */
export async function endReused(db: Rows, of: { session: string; ip: string; userAgent: string }): Promise<boolean> {
  const rows = await db.rows({
    name: 'refresh_reused',
    text: `with s as (update session set ended = clock_timestamp(), end_reason = 'refresh_reuse', ended_by = 'tiu' where id = $1 and ended is null returning *),
      u as (${auditInto(4, {
        ...{ from: 's', workspace: `'${SYSTEM_WORKSPACE}'::uuid`, actor: `'user:' || s.account`, action: `'session.refresh_reused'` },
        ...{ object: `'session:' || s.id`, data: `json_build_object('ip', $2::text, 'userAgent', $3::text)` },
      })})
      select 1 from s`,
    values: [of.session, of.ip, of.userAgent, ...auditValues()],
  });
  return rows.length > 0;
}
