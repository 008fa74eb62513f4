import { randomUUIDv7 } from 'node:crypto';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import { auditInto, auditValues } from './audit.ts';
import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/** How a person has proved who they are. */
export type SessionMethod = 'password' | 'oidc' | 'passkey' | 'device' | 'invitation';

/** Times in ms since the epoch, durations in ms. `refreshHash` is the SHA-256 of its first refresh token. */
export type NewSession = {
  account: string;
  method: SessionMethod;
  mfa: boolean;
  remember: boolean;
  device: string | undefined;
  ip: string;
  userAgent: string;
  /** Where it acts, if the person is a member there; else where they prefer to be, else where they were last, else where they have been longest. */
  workspace: string | undefined;
  refreshHash: Buffer;
  now: number;
  /** When the person last proved who they are. */
  proved: number;
  idleMs: number;
  lifeMs: number;
  /** Who has proved who they are, and the session there. */
  issuer?: IssuerSession | undefined;
};

export type IssuerSession = { issuer: string; sid: string | null };

/** Where a session acts. `role` is null, and `workspace` the system workspace, for who is a member of none. */
export type SessionPlace = { id: string; account: string; workspace: string; role: string | null };

/** What holds of a session `s` at the time in parameter `$n`. */
export const isOpen = (n: number): string =>
  `s.ended is null and s.expires > to_timestamp($${n}::float8 / 1000) and s.active + s.idle > to_timestamp($${n}::float8 / 1000)`;

const time = (n: number): string => `to_timestamp($${n}::float8 / 1000)`;
const SYSTEM = `'${SYSTEM_WORKSPACE}'::uuid`;
const interval = (n: number): string => `make_interval(secs => $${n}::float8 / 1000)`;

/** Opens a session, notes the sign-in, and writes it to the audit. @returns undefined for an account that is not active */
export async function insertSession(db: Rows, session: NewSession): Promise<SessionPlace | undefined> {
  const { account, method, mfa, remember, device, ip, userAgent, workspace, refreshHash, now, proved, idleMs, lifeMs, issuer } = session;
  const rows = await db.rows<SessionPlace>({
    name: 'session_insert',
    text: `with a as (update account set last_login = ${time(10)} where id = $2 and status = 'active' returning id),
      p as (select m.workspace, m.role from membership m join a on a.id = m.account where m.expires is null or m.expires > ${time(10)}
        order by m.workspace is not distinct from $9::uuid desc,
          m.workspace::text is not distinct from (select x.settings->'preferred'->>'workspace' from account x where x.id = $2) desc,
          m.workspace is not distinct from (select l.workspace from session l where l.account = $2 order by l.created desc limit 1) desc, m.granted, m.workspace
        limit 1),
      s as (insert into session (id, workspace, account, method, mfa, remember, device, ip, user_agent, created, proved, active, idle, expires, issuer, issuer_sid)
        select $1, coalesce((select workspace from p), '${SYSTEM_WORKSPACE}'), a.id, $3, $4, $5, $6, $7, $8, ${time(10)}, ${time(17)}, ${time(10)},
          ${interval(11)}, ${time(10)} + ${interval(12)}, $18, $19 from a returning *),
      t as (insert into refresh_token (hash, session, created) select $13, s.id, s.created from s),
      u as (${auditInto(14, {
        ...{ from: 's', workspace: SYSTEM, actor: `'user:' || s.account`, action: `'auth.login'`, object: `'session:' || s.id` },
        data: `json_build_object('method', s.method, 'mfa', s.mfa, 'ip', s.ip, 'userAgent', s.user_agent)`,
      })})
      select s.id, s.account, s.workspace, (select role from p) as role from s`,
    values: [
      ...[randomUUIDv7(), account, method, mfa, remember, device ?? null, ip, userAgent, workspace ?? null, now, idleMs, lifeMs],
      ...[refreshHash, ...auditValues(), proved, issuer?.issuer ?? null, issuer?.sid ?? null],
    ],
  });
  return rows[0];
}

/** Ends all but the newest open ones of an account. @returns how many */
export function endSurplus(db: Rows, of: { account: string; max: number; now: number }): Promise<number> {
  const which = `s.id in (select s.id from session s where s.account = $1 and ${isOpen(8)} order by s.created desc, s.id desc offset $7)`;
  return end(db, { name: 'session_end_surplus', which, values: [of.max, of.now] }, { account: of.account, reason: 'too_many', by: 'tiu' });
}

/**
 * Ends the sessions of an account, now and in every api process. May stand in the transaction of what it is for.
 * @param of.except session that stays  @param of.by principal of who does it
 * @returns how many there were
 */
export function endSessions(db: Rows, of: { account: string; except?: string; reason: string; by: string }): Promise<number> {
  return end(db, { name: 'session_end_all', which: 's.id is distinct from $7::uuid', values: [of.except ?? null] }, of);
}

/** Ends one. @returns whether the account had it open */
export async function endSession(db: Rows, of: { account: string; session: string; reason: string; by: string }): Promise<boolean> {
  return (await end(db, { name: 'session_end_one', which: 's.id = $7::uuid', values: [of.session] }, of)) > 0;
}

/**
 * Ends what an issuer says has ended there: one of its sessions, or all of a person. Devices that were signed in from one of these
 * stay. @returns how many
 */
export async function endIssuerSessions(db: Rows, of: { issuer: string; sid?: string; subject?: string }): Promise<number> {
  const { issuer, sid = null, subject = null } = of;
  const accounts = await db.rows<{ account: string }>({
    name: 'session_of_issuer',
    text: `select distinct s.account from session s where s.ended is null and s.issuer = $1 and ($2::text is null or s.issuer_sid = $2)
      and ($3::text is null or exists (select from account_identity i where i.issuer = $1 and i.subject = $3 and i.account = s.account))`,
    values: [issuer, sid, subject],
  });
  const choice = { name: 'session_end_issuer', which: `s.issuer = $7 and ($8::text is null or s.issuer_sid = $8)`, values: [issuer, sid] };
  let ended = 0;
  for (const { account } of accounts) ended += await end(db, choice, { account, reason: 'issuer_logout', by: `issuer:${issuer}` });
  return ended;
}

type Choice = { name: string; which: string; values: readonly unknown[] };

/** The trigger of the table tells api processes. */
async function end(db: Rows, choice: Choice, of: { account: string; reason: string; by: string }): Promise<number> {
  const rows = await db.rows<{ n: number }>({
    name: choice.name,
    text: `with e as (update session s set ended = clock_timestamp(), end_reason = $2, ended_by = $3
        where s.account = $1 and s.ended is null and ${choice.which} returning s.id),
      u as (${auditInto(4, {
        ...{
          from: '(select json_agg(e.id) as ids from e having count(*) > 0) x',
          workspace: SYSTEM,
          actor: '$3',
          action: `'session.ended'`,
        },
        ...{ object: `'user:' || $1::uuid`, data: `json_build_object('reason', $2::text, 'sessions', x.ids)` },
      })})
      select count(*)::int as n from e`,
    values: [of.account, of.reason, of.by, ...auditValues(), ...choice.values],
  });
  return rows[0]?.n ?? 0;
}

/**
 * The same session under another id, for somebody who has proved again who they are: what knew the former id opens nothing.
 * @returns undefined if it is not open
 */
export async function renewSession(
  db: Rows,
  of: { session: string; mfa: boolean; refreshHash: Buffer; now: number },
): Promise<SessionPlace | undefined> {
  const rows = await db.rows<SessionPlace>({
    name: 'session_renew',
    text: `with o as (update session s set ended = clock_timestamp(), end_reason = 'renewed', ended_by = 'user:' || s.account where s.id = $1 and ${isOpen(5)} returning s.*),
      s as (insert into session (id, workspace, account, method, mfa, remember, device, ip, user_agent, created, proved, active, idle, expires, issuer, issuer_sid)
        select $2, o.workspace, o.account, o.method, o.mfa or $3, o.remember, o.device, o.ip, o.user_agent, o.created, ${time(5)}, ${time(5)}, o.idle, o.expires, o.issuer, o.issuer_sid
        from o returning *),
      t as (insert into refresh_token (hash, session, created) select $4, s.id, ${time(5)} from s)
      select s.id, s.account, s.workspace, m.role from s
      left join membership m on m.account = s.account and m.workspace = s.workspace and (m.expires is null or m.expires > ${time(5)})`,
    values: [of.session, randomUUIDv7(), of.mfa, of.refreshHash, of.now],
  });
  return rows[0];
}

/** A session in which a second factor was set up has shown it. */
export async function markProved(db: Rows, session: string): Promise<void> {
  // `proved` stays; that it is named here lets the trigger tell api processes
  await db.rows({
    name: 'session_mfa',
    text: 'update session set mfa = true, proved = proved where id = $1 and ended is null and not mfa',
    values: [session],
  });
}

/** Sessions of somebody who has no second factor any more have not shown one, but those whose issuer says so. */
export async function unmarkProved(db: Rows, account: string): Promise<void> {
  await db.rows({
    name: 'session_no_mfa',
    text: `update session set mfa = false, proved = proved where account = $1 and ended is null and mfa and method <> 'oidc'`,
    values: [account],
  });
}

/**
 * Lets a session act in another workspace. @returns undefined unless the person is a member there and the session open
 */
export async function switchWorkspace(
  db: Rows,
  of: { session: string; workspace: string; now: number },
): Promise<SessionPlace | undefined> {
  const rows = await db.rows<SessionPlace>({
    name: 'session_switch',
    text: `with s as (update session s set workspace = m.workspace from membership m
        where s.id = $1 and ${isOpen(3)} and m.account = s.account and m.workspace = $2 and (m.expires is null or m.expires > ${time(3)})
        returning s.id, s.account, s.workspace, m.role),
      u as (${auditInto(4, {
        ...{
          from: 's',
          workspace: 's.workspace',
          actor: `'user:' || s.account`,
          action: `'session.switched'`,
          object: `'session:' || s.id`,
        },
      })})
      select * from s`,
    values: [of.session, of.workspace, of.now, ...auditValues()],
  });
  return rows[0];
}

/** What a person is shown of one of their sessions. */
export type SessionInfo = {
  id: string;
  workspace: string;
  method: SessionMethod;
  mfa: boolean;
  remember: boolean;
  device: string | null;
  ip: string;
  user_agent: string;
  created: Date;
  active: Date;
  expires: Date;
};

/** Open sessions of an account, the last used first. */
export const listSessions = (db: Rows, of: { account: string; now: number }): Promise<SessionInfo[]> =>
  db.rows<SessionInfo>({
    name: 'session_list',
    text: `select s.id, s.workspace, s.method, s.mfa, s.remember, s.device, s.ip, s.user_agent, s.created, s.active, s.expires from session s
      where s.account = $1 and ${isOpen(2)} order by s.active desc, s.id desc`,
    values: [of.account, of.now],
  });
