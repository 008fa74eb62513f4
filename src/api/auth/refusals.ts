import { writeAudit, type AuditEntry, type Origin } from '../../db/audit.ts';
import type { Database } from '../../db/database.ts';
import type { Action } from '../../domain/access/actions.ts';
import type { Actor, Resource } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import type { Log } from '../log.ts';
import type { ApiMetrics } from '../metrics.ts';

/** What somebody was refused. Without an actor: whoever it was did not prove who they are. */
type Refusal = { actor: Actor | undefined; action: Action | 'self' | 'public'; object: string; origin: Origin };

export type Refusals = {
  /** Remembers a refusal for the audit, if the problem is one: it neither waits nor throws. */
  note: (refusal: Refusal, problem: unknown) => void;
  /** Writes what is remembered. */
  flush: () => Promise<void>;
  /** The same; nothing is remembered any more. */
  close: () => Promise<void>;
};

type RefusalsDeps = {
  db: Pick<Database, 'rows'>;
  metrics: Pick<ApiMetrics, 'auditDropped'>;
  log: Log;
  clock: () => number;
};

const FLUSH_MS = 1_000;
/** Those of one who did not prove who they are are counted for so long. */
const UNKNOWN_MS = 10_000;
const MINUTE_MS = 60_000;

type Kept = { entry: AuditEntry; count: number; since: number; until: number; dueMs: number };

/**
 * Refusals become audit rows outside of the request that was refused: the same ones of a while are one row with their count, and
 * there are at most `max` rows a minute of those who are known and as many of those who are not, so that nobody fills the disk and
 * strangers hide nothing of others. What is beyond is counted, in a row and in a metric.
 */
export function createRefusals(deps: RefusalsDeps, max: number): Refusals {
  const kept = new Map<string, Kept>();
  const rows = { minute: 0, known: 0, unknown: 0 };
  const dropped = { count: 0, since: 0, told: -Infinity };
  let closed = false;
  const drop = (count: number) => {
    deps.metrics.auditDropped.inc(count);
    if (dropped.count === 0) dropped.since = deps.clock();
    dropped.count += count;
  };
  const mayKeep = (who: 'known' | 'unknown'): boolean => {
    const minute = Math.floor(deps.clock() / MINUTE_MS);
    if (minute !== rows.minute) Object.assign(rows, { minute, known: 0, unknown: 0 });
    rows[who] += 1;
    return rows[who] <= max;
  };
  const note: Refusals['note'] = (refusal, problem) => {
    const entry = closed ? undefined : entryOf(refusal, problem);
    if (!entry) return;
    const now = deps.clock();
    const key = JSON.stringify([entry.workspace, entry.actor, entry.action, entry.object, entry.refused]);
    const known = kept.get(key);
    if (known) {
      known.count += 1;
      known.until = now;
    } else if (mayKeep(refusal.actor ? 'known' : 'unknown'))
      kept.set(key, { entry, count: 1, since: now, until: now, dueMs: now + (refusal.actor ? 0 : UNKNOWN_MS) });
    else drop(1);
  };
  const flush = async (all: boolean) => {
    const now = deps.clock();
    const due = [...kept].filter(([, { dueMs }]) => all || dueMs <= now);
    for (const [key] of due) kept.delete(key);
    const entries = due.map(([, one]) => countedEntry(one));
    if (dropped.count > 0 && (all || now - dropped.told >= MINUTE_MS)) {
      entries.push(droppedEntry(dropped));
      Object.assign(dropped, { count: 0, told: now });
    }
    if (entries.length === 0) return;
    await writeAudit(deps.db, entries).catch((error: unknown) => {
      drop(due.reduce((sum, [, { count }]) => sum + count, 0));
      deps.log.warn({ err: error }, 'audit.refusals_lost');
    });
  };
  const timer = setInterval(() => void flush(false), FLUSH_MS).unref();
  return {
    note,
    flush: () => flush(true),
    close: async () => {
      closed = true;
      clearInterval(timer);
      await flush(true);
    },
  };
}

const REFUSED: ReadonlySet<string> = new Set([
  'unauthenticated',
  'forbidden',
  'not_found',
  'reauthentication_required',
  'second_factor_required',
]);

/** undefined: it is no matter of rights. */
function entryOf({ actor, action, object, origin }: Refusal, problem: unknown): AuditEntry | undefined {
  if (!(problem instanceof Problem) || !REFUSED.has(problem.code)) return undefined;
  const refused = problem.code;
  if (!actor) {
    const from = `address:${origin.address ?? 'unknown'}`;
    return { workspace: SYSTEM_WORKSPACE, actor: 'unknown', action: 'auth.token_refused', object: from, refused, origin };
  }
  if (refused === 'not_found' && !isForeign(problem)) return undefined;
  return { workspace: actor.workspace, actor: actor.principal, action, object, refused, origin };
}

const countedEntry = ({ entry, count, since, until }: Kept): AuditEntry =>
  count === 1 ? entry : { ...entry, data: { count, since: isoOf(since), until: isoOf(until) } };

const droppedEntry = ({ count, since }: { count: number; since: number }): AuditEntry => ({
  ...{ workspace: SYSTEM_WORKSPACE, actor: 'system', action: 'audit.dropped', object: 'audit:refusals' },
  data: { count, since: isoOf(since) },
});

const isoOf = (ms: number): string => new Date(ms).toISOString();

const foreign = new WeakSet<Problem>();
const isForeign = (problem: Problem): boolean => foreign.has(problem);

/**
 * The answer about an object that the workspace does not have: the same whether nobody has it or another one, but of the latter
 * the audit is told.
 */
export function notFound(resource: Resource | undefined): Problem {
  const problem = new Problem('not_found');
  if (resource) foreign.add(problem);
  return problem;
}
