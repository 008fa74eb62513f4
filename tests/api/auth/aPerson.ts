import { randomBytes, randomUUIDv7 } from 'node:crypto';
import type { Database } from '../../../src/db/database.ts';
import { openSession, type OpenedSession } from '../../../src/api/auth/openSession.ts';

export const TOKEN_KEYS = `k1:${Buffer.alloc(32, 7).toString('base64')}`;

type Rows = Pick<Database, 'rows'>;

/** An account, and its memberships: role by workspace. */
export async function anAccount(db: Rows, roles: Record<string, string> = {}): Promise<string> {
  const id = randomUUIDv7();
  const name = `p${randomBytes(6).toString('hex')}`;
  await sql(db, `insert into account (id, name, name_key, created, created_by) values ($1, $2, $2, now(), 'test')`, [id, name]);
  for (const [workspace, role] of Object.entries(roles)) await grant(db, { account: id, workspace, role });
  return id;
}

export const grant = (db: Rows, of: { account: string; workspace: string; role: string; expires?: Date }) =>
  sql(
    db,
    `insert into membership (workspace, account, role, granted_by, granted, expires) values ($1, $2, $3, 'test', now(), $4)
     on conflict (workspace, account) do update set role = excluded.role, expires = excluded.expires`,
    [of.workspace, of.account, of.role, of.expires ?? null],
  );

export const sql = <R extends object>(db: Rows, text: string, values: readonly unknown[] = []): Promise<R[]> =>
  db.rows<R>({ name: '', text, values });

export const signIn = (
  deps: Parameters<typeof openSession>[0],
  account: string,
  more: Partial<Parameters<typeof openSession>[1]> = {},
): Promise<OpenedSession> => openSession(deps, { account, method: 'password', mfa: false, ip: '127.0.0.1', userAgent: 'test', ...more });
