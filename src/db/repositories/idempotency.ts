import type { Database } from '../database.ts';
import type { Json } from '../../domain/json.ts';

export type IdempotencyKey = { workspace: string; principal: string; key: string };
export type StoredReply = { status: number; body: Json; headers: { [name: string]: string } };
export type Claim = { state: 'new' } | { state: 'running' } | { state: 'mismatch' } | { state: 'known'; reply: StoredReply };

/**
 * Takes a key for a request with this hash, or says what became of the one that has it. A claim that is neither
 * settled nor dropped lapses after 60 s.
 */
export async function claimKey(db: Database, key: IdempotencyKey, hash: Buffer): Promise<Claim> {
  const values = [key.workspace, key.principal, key.key, hash];
  const taken = await db.rows({
    name: 'idempotency_claim',
    text: `insert into idempotency as d (workspace, principal, key, hash, expires) values ($1, $2, $3, $4, clock_timestamp() + interval '60 s')
      on conflict (workspace, principal, key) do update set hash = excluded.hash, run = null, status = null, response = null, expires = excluded.expires
      where d.expires < clock_timestamp() returning 1`,
    values,
  });
  if (taken.length > 0) return { state: 'new' };
  const rows = await db.rows<{ same: boolean; run: string | null; response: StoredReply | null }>({
    name: 'idempotency_read',
    text: 'select hash = $4 as same, run, response from idempotency where workspace = $1 and principal = $2 and key = $3',
    values,
  });
  const row = rows[0];
  if (!row) return { state: 'running' }; // dropped between the two statements: the client may try again
  if (!row.same || row.run !== null) return { state: 'mismatch' };
  return row.response === null ? { state: 'running' } : { state: 'known', reply: row.response };
}

/** Keeps the answer for 7 days. */
export async function settleKey(db: Database, key: IdempotencyKey, reply: StoredReply): Promise<void> {
  await db.rows({
    name: 'idempotency_settle',
    text: `update idempotency set status = $4, response = $5, expires = clock_timestamp() + interval '7 days'
      where workspace = $1 and principal = $2 and key = $3`,
    values: [key.workspace, key.principal, key.key, reply.status, JSON.stringify(reply)],
  });
}

/** Frees a key whose request came to nothing. */
export async function dropKey(db: Database, key: IdempotencyKey): Promise<void> {
  await db.rows({
    name: 'idempotency_drop',
    text: 'delete from idempotency where workspace = $1 and principal = $2 and key = $3 and status is null and run is null',
    values: [key.workspace, key.principal, key.key],
  });
}
