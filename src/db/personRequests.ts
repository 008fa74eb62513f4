import { randomUUIDv7 } from 'node:crypto';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import { recordArtifact } from './artifacts.ts';
import { auditInto, auditValues } from './audit.ts';
import type { Database } from './pool.ts';
import { withTransaction, type Rows } from './transaction.ts';

type RequestKind = 'export' | 'erase';

/** What somebody has asked for of a person's data. */
export type PersonRequest = {
  id: string;
  kind: RequestKind;
  account: string;
  created: string;
  done: string | null;
  /** Of an export: hex and bytes, and until when it can be fetched. */
  sha256: string | null;
  size: number | null;
  expires: string | null;
};

const COLUMNS = `q.id, q.kind, q.account, q.created, q.done, encode(q.sha256, 'hex') as sha256, q.size::float8 as size, q.expires`;

/** Who needs the object of an export. */
const holderOf = (id: string): string => `person_request:${id}`;

/** Notes what is asked for, unless it is under way already. @returns the one that is under way then */
export async function askFor(tx: Rows, asked: { kind: RequestKind; account: string; by: string }): Promise<PersonRequest> {
  const rows = await tx.rows<PersonRequest>({
    name: 'person_request_ask',
    text: `with q as (insert into person_request as q (id, kind, account, asked_by, created) values ($1, $2, $3, $4, clock_timestamp())
        on conflict (account, kind) where done is null do nothing returning *),
      a as (${auditInto(5, { from: 'q', workspace: `'${SYSTEM_WORKSPACE}'::uuid`, actor: '$4', action: `'account.' || q.kind || '_requested'`, object: `'user:' || q.account` })})
      select ${COLUMNS} from q`,
    values: [randomUUIDv7(), asked.kind, asked.account, asked.by, ...auditValues()],
  });
  if (rows[0]) return rows[0];
  const [open] = await tx.rows<PersonRequest>({
    name: 'person_request_open',
    text: `select ${COLUMNS} from person_request q where q.account = $1 and q.kind = $2 order by q.created desc limit 1`,
    values: [asked.account, asked.kind],
  });
  if (!open) throw new Error('a request is there or can be made');
  return open;
}

/** Exports of a person that are under way or can be fetched, the newest first. */
export const listExports = (db: Rows, account: string): Promise<PersonRequest[]> =>
  db.rows<PersonRequest>({
    name: 'person_export_list',
    text: `select ${COLUMNS} from person_request q where q.account = $1 and q.kind = 'export' and (q.expires is null or q.expires > clock_timestamp())
      order by q.created desc limit 100`,
    values: [account],
  });

export async function findRequest(db: Rows, id: string): Promise<PersonRequest | undefined> {
  const rows = await db.rows<PersonRequest>({
    name: 'person_request_find',
    text: `select ${COLUMNS} from person_request q where q.id = $1`,
    values: [id],
  });
  return rows[0];
}

/** Notes which run does it. */
export async function noteSubmitted(db: Rows, request: { id: string; run: string }): Promise<void> {
  await db.rows({
    name: 'person_request_submitted',
    text: 'update person_request set run = $2, submitted = clock_timestamp() where id = $1 and done is null',
    values: [request.id, request.run],
  });
}

/** A request that waits for a run: `before` is the one that has ended without doing it. */
export type WaitingRequest = { id: string; kind: RequestKind; before: string | null };

/** Those that no run does: the api was lost before it had submitted one, or the one that it has submitted ended an hour ago or was deleted. */
export const waitingRequests = (db: Rows): Promise<WaitingRequest[]> =>
  db.rows<WaitingRequest>({
    name: 'person_request_waiting',
    text: `select q.id, q.kind, q.run as before from person_request q left join run_state s on s.run = q.run
      where q.done is null and (q.run is null or (q.submitted < clock_timestamp() - interval '1 hour' and (s.run is null or s.finished is not null)))
      order by q.created limit 100`,
    values: [],
  });

type Stored = { id: string; sha256: string; size: number };

/** An export is there: its object is held until its time is over. Nothing happens when the account has been erased meanwhile. */
export function settleExport(db: Pick<Database, 'pool'>, stored: Stored, ttlMs: number): Promise<void> {
  return withTransaction(db, async (tx) => {
    const rows = await tx.rows({
      name: 'person_export_settle',
      text: `update person_request q set sha256 = $2, size = $3, done = clock_timestamp(), expires = clock_timestamp() + $4 * interval '1 ms'
        from account a where q.id = $1 and q.done is null and a.id = q.account and a.status <> 'erased' returning 1`,
      values: [stored.id, Buffer.from(stored.sha256, 'hex'), stored.size, ttlMs],
    });
    if (rows.length === 0) return;
    const { sha256, size } = stored;
    await recordArtifact(tx, stored.id, { sha256, size, mediaType: 'application/json', name: 'person.json', holder: holderOf(stored.id) });
  });
}

/** Forgets exports whose time is over, or with an account all of it; their objects are collected then. @returns how many */
export async function forgetExports(tx: Rows, of: { account: string | null; limit: number }): Promise<number> {
  const rows = await tx.rows({
    name: 'person_export_forget',
    text: `with q as (delete from person_request where id in (select id from person_request where kind = 'export'
          and case when $1::uuid is null then expires < clock_timestamp() else account = $1 end limit $2 for update skip locked) returning id),
        r as (delete from artifact_ref f using q where f.workspace = q.id and f.holder = 'person_request:' || q.id)
      select 1 from q`,
    values: [of.account, of.limit],
  });
  return rows.length;
}
