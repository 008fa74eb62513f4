import type { Json } from '../domain/json.ts';
import type { Rows } from './transaction.ts';

/** What is kept of a person, by name of its part: small enough for one statement each. Nothing secret is among it, nor a hash of it. */
const PARTS: readonly [name: string, sql: string][] = [
  [
    'profile',
    `select id, name, email, email_verified as "emailVerifiedAt", full_name as "fullName", bio, avatar_url as "avatarUrl", preferences, settings, status,
      password is not null as "hasPassword", password_at as "passwordSetAt", created as "createdAt", created_by as "createdBy", last_login as "lastLoginAt"
      from account where id = $1`,
  ],
  [
    'memberships',
    `select m.workspace, w.name, m.role, m.granted_by as "grantedBy", m.granted as "grantedAt", m.expires as "expiresAt"
      from membership m join workspace w on w.id = m.workspace where m.account = $1 order by m.granted`,
  ],
  [
    'projects',
    `select m.workspace, m.project, p.name, m.role, m.granted_by as "grantedBy", m.granted as "grantedAt", m.expires as "expiresAt"
      from project_member m join project p on p.id = m.project where m.account = $1 order by m.granted`,
  ],
  [
    'sessions',
    `select id, workspace, method, mfa, remember, device, ip, user_agent as "userAgent", created as "createdAt", active as "lastActivityAt",
      expires as "expiresAt", ended as "endedAt", end_reason as "endReason" from session where account = $1 order by created`,
  ],
  [
    'devices',
    `select created as "createdAt", last_used as "lastUsedAt", expires as "expiresAt" from known_device where account = $1 order by created`,
  ],
  [
    'identities',
    `select provider, issuer, subject, email, created as "linkedAt", last_used as "lastUsedAt" from account_identity where account = $1 order by created`,
  ],
  [
    'passkeys',
    `select id, name, transports, synced, created as "createdAt", last_used as "lastUsedAt" from passkey where account = $1 order by created`,
  ],
  ['authenticator', `select created as "createdAt", confirmed as "confirmedAt" from totp where account = $1`],
  ['recoveryCodes', `select created as "createdAt", used as "usedAt" from recovery_code where account = $1 order by created`],
  [
    'keys',
    `select id, workspace, name, scopes, created as "createdAt", expires as "expiresAt", revoked as "revokedAt", last_used as "lastUsedAt"
      from api_key where account = $1 order by created`,
  ],
  [
    'links',
    `select kind, created as "createdAt", expires as "expiresAt", used as "usedAt" from one_time where account = $1 order by created`,
  ],
  [
    'invitations',
    `select workspace, email, role, created as "createdAt", expires as "expiresAt", settled as "settledAt", outcome, created_by = 'user:' || $1::uuid as "byOneself"
      from invitation where account = $1 or created_by = 'user:' || $1::uuid order by created`,
  ],
];

/** What grows with the installation: read in steps by id, each of which looks at so many rows. */
const WALKS: readonly [name: string, sql: string][] = [
  [
    'audit',
    `with w as (select * from audit where id > $2 order by id limit $3)
      select (select id from w order by id desc limit 1) as last, coalesce((select json_agg(x order by x.id) from (
        select id, at, workspace, actor, action, subject as object, data, before, after, result, code, case when actor = 'user:' || $1::uuid then address end as address
        from w where actor = 'user:' || $1::uuid or subject = 'user:' || $1::uuid) x), '[]') as items`,
  ],
  [
    'runs',
    `with w as (select id, workspace, definition, created, created_by from run where id > $2 order by id limit $3)
      select (select id from w order by id desc limit 1) as last, coalesce((select json_agg(x order by x.id) from (
        select w.id, w.workspace, w.definition, w.created as "acceptedAt", s.started as "startedAt", s.finished as "finishedAt", s.status
        from w left join run_state s on s.run = w.id where w.created_by = 'user:' || $1::uuid) x), '[]') as items`,
  ],
];
const FIRST = '00000000-0000-0000-0000-000000000000';
const STEP = 5_000;

/** All that is kept of a person, part by part; a part that is large comes in several pieces. */
export async function* personData(db: Rows, account: string, step: number = STEP): AsyncGenerator<{ part: string; items: Json[] }> {
  for (const [part, sql] of PARTS) {
    const text = `select row_to_json(x) as item from (${sql}) x`;
    const rows = await db.rows<{ item: Json }>({ name: `person_${part}`, text, values: [account] });
    yield { part, items: rows.map(({ item }) => item) };
  }
  for (const [part, text] of WALKS) {
    let after: string | null = FIRST;
    while (after !== null) {
      const [row]: { last: string | null; items: Json[] }[] = await db.rows<{ last: string | null; items: Json[] }>({
        ...{ name: `person_${part}`, text, values: [account, after, step] },
      });
      yield { part, items: row?.items ?? [] };
      after = row?.last ?? null;
    }
  }
}
