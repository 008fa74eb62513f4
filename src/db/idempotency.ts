import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../domain/json.ts';
import type { Database } from './database.ts';

/** Names one request of a principal in a workspace. */
export type IdempotencyKey = { workspace: string; principal: string; key: string };

/**
 * `begun`: the caller handles the request and then finishes it · `running`: another handler does · `done`: repeat its answer ·
 * `run`: it started this run · `conflict`: the key belongs to another request.
 */
export type Idempotent =
  | { state: 'begun' }
  | { state: 'running' }
  | { state: 'done'; status: number; response: Json }
  | { state: 'run'; run: string }
  | { state: 'conflict' };

type Db = Pick<Database, 'rows'>;
type Row = { hash: Buffer; run: string | null; status: number | null; response: Json };

/** What is known of a key. @param hash sha256 of what makes two requests the same @returns undefined when it is free */
export async function getIdempotent(
  db: Db,
  key: IdempotencyKey,
  hash: Buffer,
): Promise<Exclude<Idempotent, { state: 'begun' }> | undefined> {
  const [row] = await db.rows<Row>({
    name: 'idempotency_get',
    text: `select hash, run, status, response from idempotency where workspace = $1 and principal = $2 and key = $3 and expires > clock_timestamp()`,
    values: [key.workspace, key.principal, key.key],
  });
  if (!row) return undefined;
  if (!isDeepStrictEqual(row.hash, hash)) return { state: 'conflict' };
  if (row.run !== null) return { state: 'run', run: row.run };
  return row.status === null ? { state: 'running' } : { state: 'done', status: row.status, response: row.response };
}

/** Takes a free key for a handler that may last 60 s; then another one may take it over. */
export async function beginIdempotent(db: Db, key: IdempotencyKey, hash: Buffer): Promise<Idempotent> {
  const begun = await db.rows({
    name: 'idempotency_begin',
    text: `insert into idempotency as d (workspace, principal, key, hash, expires) values ($1, $2, $3, $4, clock_timestamp() + interval '60 seconds')
      on conflict (workspace, principal, key) do update set hash = excluded.hash, run = null, status = null, response = null, expires = excluded.expires
      where d.expires <= clock_timestamp() returning 1`,
    values: [key.workspace, key.principal, key.key, hash],
  });
  if (begun.length > 0) return { state: 'begun' };
  // gone between the two statements: it was just given up, and is so to say still running
  return (await getIdempotent(db, key, hash)) ?? { state: 'running' };
}

/** Keeps the answer for 7 days. */
export async function finishIdempotent(
  db: Db,
  key: IdempotencyKey,
  answer: { hash: Buffer; status: number; response: Json },
): Promise<void> {
  await db.rows({
    name: 'idempotency_finish',
    text: `update idempotency set status = $5, response = $6, expires = clock_timestamp() + interval '7 days'
      where workspace = $1 and principal = $2 and key = $3 and hash = $4 and status is null and run is null`,
    values: [key.workspace, key.principal, key.key, answer.hash, answer.status, JSON.stringify(answer.response)],
  });
}

/** Frees a key whose handler failed, so that the client may try again at once. */
export async function releaseIdempotent(db: Db, key: IdempotencyKey, hash: Buffer): Promise<void> {
  await db.rows({
    name: 'idempotency_release',
    text: `delete from idempotency where workspace = $1 and principal = $2 and key = $3 and hash = $4 and status is null and run is null`,
    values: [key.workspace, key.principal, key.key, hash],
  });
}

/** Whether a submit was accepted before, under its key or its own run id. */
export async function knowsSubmit(
  db: Db,
  submit: { workspace: string; principal: string; key?: string; runId?: string },
): Promise<boolean> {
  const rows = await db.rows({
    name: 'idempotency_known',
    text: `select from idempotency where workspace = $1 and expires > clock_timestamp() and (principal, key) in (($2, $3), ('', $4)) limit 1`,
    values: [submit.workspace, submit.principal, submit.key ?? '', `run:${submit.runId?.toLowerCase() ?? ''}`],
  });
  return rows.length > 0;
}
