import { randomUUIDv7 } from 'node:crypto';
import type { Mode, OnConflict } from '../domain/plan/plan.ts';
import { Problem } from '../domain/problem.ts';
import { currentOrigin, type Origin } from './audit.ts';
import { isRefusal, openConnection, type Connection, type Log } from './connection.ts';
import type { Statement } from './database.ts';
import { bytea, int4, int8, json, text, uuid } from './encode.ts';
import { createNotices, type Hint, type Notices } from './notices.ts';

const MAX_SUBMITS = 200;
const MAX_BYTES = 4 * 2 ** 20;
const KNOWN_PLANS = 1_000;

export type Submit = {
  /** A v7 of the caller, which then identifies the request like a key; made here when left out. */
  runId?: string;
  workspace: string;
  project?: string;
  /** Whose keys these are, e.g. `key:<uuid>`. */
  principal: string;
  /** Idempotency-Key. */
  key?: string;
  /** sha256 of what makes two requests the same. */
  requestHash: Buffer;
  definition: string;
  definitionNumber?: number;
  plan: { hash: Buffer; body: string };
  /** How many tasks the plan has. */
  tasks: number;
  /** JSON text. */
  input?: string;
  /** -32768 to 32767. */
  priority: number;
  labels: Record<string, string>;
  /** From acceptance, ms. */
  deadlineMs?: number;
  /** sha256 of the artifacts that the input names. */
  artifacts: readonly Buffer[];
  createdBy: string;
  /** `standard` when left out. */
  mode?: Mode;
  concurrency?: { key: string; limit: number; onConflict: OnConflict };
  /** ISO time before which it stays in the queue. */
  notBefore?: string;
  /** JSON text: what run.accepted says besides. */
  data?: string;
};

/** `known`: the same request was accepted before; `conflict`: its key or run id belongs to another request (`runId` is then the refused one). */
/** `at`: when a new run was accepted, from the database's clock. */
type Submitted = { outcome: 'new'; runId: string; at: Date } | { outcome: 'known' | 'conflict'; runId: string };

export type Submits = {
  /** Accepted means durable. @throws Problem unavailable (it may have been accepted: repeat under the same key), invalid_request, concurrency_limit */
  submitRun: (submit: Submit) => Promise<Submitted>;
  /** Tells workers that somebody waits for a run that has not begun. */
  tellAwaited: () => void;
  /** How many wait for the database. */
  waiting: () => number;
  close: () => Promise<void>;
};

type Named = { submit: Submit; runId: string };
type Entry = Named & {
  origin: Origin;
  resolve: (submitted: Submitted) => void;
  reject: (error: Error) => void;
};

export type SubmitsDeps = {
  url: string;
  log?: Log;
  /** How long a run waits until it counts as one of the next higher priority, ms. */
  priorityAgeMs?: number;
};

/** Group commit of submits: whatever arrives during a commit goes into the next. */
export function createSubmits(deps: SubmitsDeps): Submits {
  const notices = createNotices(deps);
  const connection = openConnection({ url: deps.url, name: 'submits', log: deps.log, ...warmed(deps) });
  const plans = new Set<string>();
  let queue: Entry[] = [];
  let committing = 0;
  let working: Promise<void> | undefined;

  const accepted = (entry: Entry, submitted: Submitted) => {
    if (plans.size < KNOWN_PLANS) plans.add(entry.submit.plan.hash.toString('hex'));
    entry.resolve(submitted);
  };
  const work = async () => {
    await new Promise((resolve) => setImmediate(resolve)); // what arrives together is written together
    while (queue.length > 0) {
      const { batch, left } = takeSubmits(queue);
      queue = left;
      committing = batch.length;
      await commitSubmits({ connection, notices, plans, accepted }, batch.sort(inLockOrder));
      committing = 0;
    }
    working = undefined;
  };
  return {
    submitRun: (submit) =>
      new Promise((resolve, reject) => {
        queue.push({ submit, runId: submit.runId?.toLowerCase() ?? randomUUIDv7(), origin: currentOrigin(), resolve, reject });
        working ??= work();
      }),
    tellAwaited: () => {
      notices.tell({ runs: [], kicks: ['awaited'] });
    },
    waiting: () => queue.length + committing,
    close: async () => {
      await Promise.race([working, new Promise((resolve) => setTimeout(resolve, 5_000).unref())]);
      await Promise.all([connection.end(), notices.close()]);
    },
  };
}

/** How the session of a connection that submits runs has to be. */
export const warmed = ({ priorityAgeMs }: SubmitsDeps) =>
  priorityAgeMs === undefined
    ? {}
    : { warm: { name: 'priority_age', text: `select set_config('tiu.priority_age', $1, false)`, values: [String(priorityAgeMs)] } };

/** Concurrency keys are locked in the order of a batch: every process must take them in the same order. */
function inLockOrder(a: Entry, b: Entry): number {
  const [x, y] = [a, b].map(({ submit }) => (submit.concurrency ? `${submit.workspace} ${submit.concurrency.key}` : ''));
  return x === y ? 0 : (x ?? '') < (y ?? '') ? -1 : 1;
}

/** A client's own run id is a key too: one for everybody in the workspace. */
function keysOf({ submit, runId }: Named): { principal: string; key: string }[] {
  return [
    ...(submit.runId === undefined ? [] : [{ principal: '', key: `run:${runId}` }]),
    ...(submit.key === undefined ? [] : [{ principal: submit.principal, key: submit.key }]),
  ];
}

/** No run and no key twice in a batch: the second one waits for the next. */
function takeSubmits(entries: readonly Entry[]): { batch: Entry[]; left: Entry[] } {
  const taken = new Set<string>();
  const batch: Entry[] = [];
  const left: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const names = [entry.runId, ...keysOf(entry).map(({ principal, key }) => JSON.stringify([entry.submit.workspace, principal, key]))];
    if (batch.length >= MAX_SUBMITS || bytes >= MAX_BYTES || names.some((name) => taken.has(name))) left.push(entry);
    else {
      batch.push(entry);
      bytes += (entry.submit.input?.length ?? 0) + entry.submit.plan.body.length;
    }
    for (const name of names) taken.add(name); // those that wait keep their order too
  }
  return { batch, left };
}

type LostRow = { i: number; run: string | null; outcome: 'known' | 'conflict' };
type AcceptedRow = { i: null; at: string | null };
type SubmitDeps = { connection: Connection; notices: Notices; plans: Set<string>; accepted: (entry: Entry, submitted: Submitted) => void };

async function commitSubmits(deps: SubmitDeps, batch: readonly Entry[]): Promise<void> {
  let statement: Statement | undefined;
  try {
    statement = submitStatement(deps.plans, batch);
    const hint: Hint = { runs: batch.map((entry) => entry.runId), kicks: ['queued'] };
    const behind = deps.notices.behind(hint);
    const rows = await deps.connection.rows<LostRow | AcceptedRow>(statement, behind);
    if (!behind) deps.notices.tell(hint);
    const lost = new Map(rows.flatMap((row) => (row.i === null ? [] : [[row.i - 1, row] as const])));
    const at = new Date(rows.find((row) => row.i === null)?.at ?? NaN);
    for (const [i, entry] of batch.entries()) {
      const row = lost.get(i);
      deps.accepted(entry, row ? { outcome: row.outcome, runId: row.run ?? entry.runId } : { outcome: 'new', runId: entry.runId, at });
    }
  } catch (error) {
    const refused = refusedBy(error);
    if (refused !== undefined) return refuse(deps, batch, refused);
    const faulty = statement === undefined || isFaulty(error);
    if (faulty && batch.length > 1) for (const entry of batch) await commitSubmits(deps, [entry]);
    else for (const entry of batch) entry.reject(problemOf(error, faulty));
  }
}

/** What was sent cannot be stored. */
export const isFaulty = (error: unknown): boolean => isRefusal(error) && /^(21|22|23)/.test(error.code);

export const problemOf = (error: unknown, faulty: boolean): Problem =>
  faulty
    ? new Problem('invalid_request', { detail: (error as Error).message, cause: error })
    : new Problem('unavailable', { cause: error });

type ConcurrencyRefusal = { run: string; key: string; limit: number };

export const refusedBy = (error: unknown): ConcurrencyRefusal | undefined =>
  isRefusal(error) && error.code === 'TU409' ? (JSON.parse(error.detail ?? '{}') as ConcurrencyRefusal) : undefined;

export const concurrencyProblem = ({ key, limit }: ConcurrencyRefusal): Problem => {
  const detail = `${limit} ${limit === 1 ? 'run' : 'runs'} with the concurrency key ${key} may be open at once`;
  return new Problem('concurrency_limit', { detail, data: { key, limit } });
};

/** The statement went with the run that was refused: the others go again, those that may be refused too one by one. */
async function refuse(deps: SubmitDeps, batch: readonly Entry[], refusal: ConcurrencyRefusal): Promise<void> {
  const rest = batch.filter((entry) => entry.runId !== refusal.run);
  for (const entry of batch) if (entry.runId === refusal.run) entry.reject(concurrencyProblem(refusal));
  const rejecting = rest.filter(({ submit }) => submit.concurrency?.onConflict === 'reject');
  const others = rest.filter((entry) => !rejecting.includes(entry));
  for (const part of [...(others.length > 0 ? [others] : []), ...rejecting.map((entry) => [entry])]) await commitSubmits(deps, part);
}

const PARAMETERS = 32;
/** Those that were not new, and when those that were have been accepted: the second part runs after the first. */
const TEXT = `select i, run, outcome, null::timestamptz as at from submit_v3(${Array.from({ length: PARAMETERS }, (_, i) => `$${i + 1}`).join()})
  union all select null, null, null, accepted_at_v1($1)`;

const submitStatement = (plans: ReadonlySet<string>, batch: readonly Entry[]): Statement => ({
  name: 'submit_v3',
  text: TEXT,
  values: [...submitValues(plans, batch), text(batch.map(({ origin }) => origin.request)), text(batch.map(({ origin }) => origin.address))],
});

/** What submit_v2 is called with, and submit_v3 with two more. @param plans hashes of those that are stored already */
export function submitValues(plans: ReadonlySet<string>, batch: readonly Named[]): readonly unknown[] {
  const submits = batch.map((entry) => entry.submit);
  const keys = batch.flatMap((entry, i) => keysOf(entry).map((key) => ({ s: i + 1, ...key, hash: entry.submit.requestHash })));
  const fresh = new Map(submits.map(({ plan }) => [plan.hash.toString('hex'), plan] as const).filter(([hex]) => !plans.has(hex)));
  const labels = submits.flatMap((submit, i) => Object.entries(submit.labels).map(([name, value]) => ({ s: i + 1, name, value })));
  const artifacts = submits.flatMap((submit, i) => submit.artifacts.map((sha256) => ({ s: i + 1, sha256 })));
  return [
    uuid(batch.map((entry) => entry.runId)),
    ...runColumns(submits),
    uuid(batch.map(() => randomUUIDv7())),
    int4(keys.map((k) => k.s)),
    text(keys.map((k) => k.principal)),
    text(keys.map((k) => k.key)),
    bytea(keys.map((k) => k.hash)),
    bytea([...fresh.values()].map((plan) => plan.hash)),
    json([...fresh.values()].map((plan) => plan.body)),
    int4(labels.map((l) => l.s)),
    text(labels.map((l) => l.name)),
    text(labels.map((l) => l.value)),
    int4(artifacts.map((a) => a.s)),
    bytea(artifacts.map((a) => a.sha256)),
    text(submits.map((s) => s.mode)),
    text(submits.map((s) => s.concurrency?.key)),
    int4(submits.map((s) => s.concurrency?.limit)),
    text(submits.map((s) => s.concurrency?.onConflict)),
    text(submits.map((s) => s.notBefore)),
    json(submits.map((s) => s.data)),
  ];
}

const runColumns = (submits: readonly Submit[]): Buffer[] => [
  uuid(submits.map((s) => s.workspace)),
  uuid(submits.map((s) => s.project)),
  text(submits.map((s) => s.definition)),
  int4(submits.map((s) => s.definitionNumber)),
  bytea(submits.map((s) => s.plan.hash)),
  json(submits.map((s) => s.input)),
  int4(submits.map((s) => s.tasks)),
  int4(submits.map((s) => s.priority)),
  json(submits.map((s) => JSON.stringify(s.labels))),
  int8(submits.map((s) => s.deadlineMs)),
  text(submits.map((s) => s.createdBy)),
];
