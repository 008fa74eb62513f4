import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUIDv7 } from 'node:crypto';
import { recordable } from '../domain/audit/recordable.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { ProblemCode } from '../domain/problem.ts';
import type { Database } from './pool.ts';

/** Where a request came from: its id and the address of its network. */
export type Origin = { request: string | null; address: string | null };

const NOWHERE: Origin = { request: null, address: null };
const origins = new AsyncLocalStorage<Origin>();

/**
 * Whatever `act` writes to the audit, in any function it calls, says that it came from there. The pipeline calls this; it is the
 * one thing that goes with a request unseen, so that no function between has to pass on what only the audit wants.
 */
export const withOrigin = <T>(origin: Origin, act: () => T): T => origins.run(origin, act);

/** Of the request that is under way here; of what a worker does of itself there is none. */
export const currentOrigin = (): Origin => origins.getStore() ?? NOWHERE;

/** What was done, or refused. Nobody reads secrets here: of `data`, `before` and `after` what `recordable` lets pass is kept. */
export type AuditEntry = {
  /** Whose audit it stands in; people and what is of the installation: SYSTEM_WORKSPACE. */
  workspace: string;
  /** `key:<uuid>`, `user:<uuid>`, `system`, … */
  actor: string;
  /** Dotted, e.g. `role.changed`. */
  action: string;
  /** What it was done to: `<kind>:<id>`. */
  object: string;
  data?: JsonObject;
  /** Of values that change. */
  before?: JsonObject;
  after?: JsonObject;
  /** Why it was not done. */
  refused?: ProblemCode;
  /** Where the request came from, if it is not the one under way. */
  origin?: Origin;
};

/** A row of the entity Audit, for `em.insert(Audit, auditRow(…))` in the transaction that does what it says. */
export const auditRow = (entry: AuditEntry, at: Date = new Date()) => ({
  id: randomUUIDv7(),
  workspace: entry.workspace,
  actor: entry.actor,
  action: entry.action,
  subject: entry.object,
  data: kept(entry.data, entry),
  before: kept(entry.before, entry),
  after: kept(entry.after, entry),
  result: entry.refused === undefined ? 'done' : 'refused',
  code: entry.refused ?? null,
  ...(entry.origin ?? currentOrigin()),
  at,
});

const kept = (values: JsonObject | undefined, { object }: AuditEntry): JsonObject | null =>
  values === undefined ? null : recordable(values, object);
const json = (value: Json): string | null => (value === null ? null : JSON.stringify(value));

/** What an audit row in SQL is made of: expressions over the rows of `from`. */
type AuditSql = {
  from: string;
  workspace: string;
  actor: string;
  action: string;
  object: string;
  data?: string;
  before?: string;
  after?: string;
};

/**
 * A part of a `with`: writes an audit row for each row of `from`, in the statement that does what it says. It takes three
 * parameters, which `auditValues()` gives. @param first number of the first of them
 */
export const auditInto = (first: number, sql: AuditSql): string =>
  `insert into audit (id, workspace, actor, action, subject, data, before, after, request, address, at)
    select case row_number() over () when 1 then $${first}::uuid else gen_random_uuid() end, ${sql.workspace}, ${sql.actor}, ${sql.action}, ${sql.object}, ${sql.data ?? 'null::json'}, ${sql.before ?? 'null::json'},
      ${sql.after ?? 'null::json'}, $${first + 1}::text, $${first + 2}::text, clock_timestamp() from ${sql.from}`;

/** The three parameters of `auditInto`. */
export const auditValues = (): [id: string, request: string | null, address: string | null] => {
  const { request, address } = currentOrigin();
  return [randomUUIDv7(), request, address];
};

/** Stands among the arguments of a function of the database for the id that it is to write its audit row under. */
export const AUDIT = Symbol('audit');

/** Arguments of such a function, as places in a statement and their values: its rows say where the request came from. */
export function withAudit(given: readonly unknown[]): { places: string; values: unknown[] } {
  const [id, request, address] = auditValues();
  const n = given.length;
  const places = given.map((value, i) => (value === AUDIT ? `audit_id_v1($${i + 1}, $${n + 1}, $${n + 2})` : `$${i + 1}`));
  return { places: places.join(', '), values: [...given.map((value) => (value === AUDIT ? id : value)), request, address] };
}

/** Writes entries by themselves, in one commit: for refusals, and for what changes no row. */
export async function writeAudit(db: Pick<Database, 'rows'>, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map((entry) => auditRow(entry));
  const column = <K extends keyof (typeof rows)[number]>(name: K) => rows.map((row) => row[name]);
  await db.rows({
    name: 'audit_write',
    text: `insert into audit (id, workspace, actor, action, subject, data, before, after, result, code, request, address, at)
      select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::json[], $7::json[], $8::json[], $9::text[], $10::text[],
        $11::text[], $12::text[], $13::timestamptz[])`,
    values: [
      ...[column('id'), column('workspace'), column('actor'), column('action'), column('subject')],
      ...[column('data').map(json), column('before').map(json), column('after').map(json)],
      ...[column('result'), column('code'), column('request'), column('address'), column('at')],
    ],
  });
}
