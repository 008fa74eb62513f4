import { Problem } from '../../domain/problem.ts';
import { isRefusal, Unknown, type Connection, type Log } from '../connection.ts';
import type { Statement } from '../database.ts';
import type { Hint, Kick, Notices } from '../notices.ts';
import { keyOf, takeBatch, type Entry, type Group } from './batch.ts';
import { Refused, Stale, type Committed } from './record.ts';
import { commitStatement, type CommitRow } from './statement.ts';

export type Stats = {
  commits: number;
  records: number;
  /** Runs left for the next batch because another writer held them. */
  skips: number;
  /** Runs that then went alone. */
  alone: number;
  refused: number;
  stale: number;
  bisected: number;
  unknown: number;
  /** Longest commit, ms. */
  slowestMs: number;
};

/** Where a batch goes: the main connection takes what is free, the second one waits for the lock. */
export type Lane = { connection: Connection; wait: boolean };

export type CommitDeps = {
  stats: Stats;
  log: Log;
  settle: (entry: Entry, result: Committed | Error) => void;
  notices: Notices;
};

type Unsettled = { skipped: Group[]; again: Entry[] };

/** Commits a batch. @returns the groups whose run was held by another writer, and entries to try once more, in order */
export async function commitBatch(deps: CommitDeps, lane: Lane, groups: Group[]): Promise<Unsettled> {
  const { stats } = deps;
  const from = performance.now();
  let statement: Statement;
  try {
    statement = commitStatement(groups, lane.wait);
  } catch (error) {
    return poisoned(deps, lane, { groups, error }); // a value that cannot even be encoded
  }
  const hint = hintOf(groups);
  const behind = deps.notices.behind(hint);
  let rows: CommitRow[];
  try {
    rows = await lane.connection.rows<CommitRow>(statement, behind);
  } catch (error) {
    return failed(deps, lane, { groups, error });
  }
  if (!behind) deps.notices.tell(hint);
  stats.commits += 1;
  stats.slowestMs = Math.max(stats.slowestMs, performance.now() - from);
  const skipped: Group[] = [];
  const closings = new Map(rows.filter((row) => row.outcome === 'closed').map((row) => [row.r, row]));
  const firstTask = positions(groups);
  for (const row of rows) {
    const group = groups[row.r - 1];
    if (!group || row.outcome === 'closed') continue;
    if (row.outcome === 'skipped') skipped.push(group);
    else if (row.outcome === 'refused') {
      stats.stale += 1;
      for (const entry of group.entries) deps.settle(entry, new Stale(`run ${group.run}, epoch ${group.epoch}`));
    } else settleGroup(deps, group, { row, closing: closings.get(row.r), firstTask: firstTask[row.r - 1] ?? 1 });
  }
  return { skipped, again: [] };
}

/** What a commit may have changed, as far as it is known before it is made. */
function hintOf(groups: readonly Group[]): Hint {
  const kicks: Kick[] = [];
  if (groups.some(opensWait)) kicks.push('wait');
  const ended = groups.flatMap((group) => (group.close === undefined ? [] : [group.run]));
  if (ended.length > 0) kicks.push('closed');
  return { runs: groups.map((group) => group.run), ended, kicks };
}

const opensWait = (group: Group): boolean => {
  for (const row of group.rows.values()) if (row.wait !== undefined || row.deadlineMs !== undefined) return true;
  return false;
};

/** Position of each group's first row among the task columns, from 1. */
function positions(groups: readonly Group[]): number[] {
  let next = 1;
  return groups.map((group) => {
    const first = next;
    next += group.rows.size;
    return first;
  });
}

type Outcome = { row: CommitRow; closing: CommitRow | undefined; firstTask: number };

function settleGroup(deps: CommitDeps, group: Group, { row, closing, firstTask }: Outcome): void {
  const { stats } = deps;
  const closed = closing && group.close ? group.close.status : null;
  const lastSeq = Number((closing ?? row).seq);
  const refused = row.refused && new Set(row.refused);
  const seqs = new Map<string, number>();
  let seq = Number(row.base);
  let position = firstTask;
  for (const key of group.rows.keys()) if (!refused?.has(position++)) seqs.set(key, ++seq);
  stats.records += group.entries.length;
  for (const entry of group.entries) {
    const { record } = entry;
    const own = record.type === 'task' ? seqs.get(keyOf(record)) : lastSeq;
    if (own === undefined) {
      stats.refused += 1;
      deps.settle(
        entry,
        new Refused(`run ${record.run}${record.type === 'task' ? `, task ${keyOf(record)}, attempt ${record.attempt}` : ''}`),
      );
    } else deps.settle(entry, { seq: own, lastSeq, intent: row.intent, unseen: row.unseen ?? false, closed });
  }
}

const POISON = /^(21|22|23502|23514)/;
/** Lock or statement timeout, deadlock, no room on disk or in memory: rolled back, and worth another try. */
const PASSING = /^(40|53|55P03|57014)/;

type Failed = { groups: Group[]; error: unknown };

async function failed(deps: CommitDeps, lane: Lane, { groups, error }: Failed): Promise<Unsettled> {
  const code = isRefusal(error) ? error.code : '';
  if (POISON.test(code)) return poisoned(deps, lane, { groups, error });
  const entries = groups.flatMap((group) => group.entries);
  if (PASSING.test(code)) {
    deps.log('journal.retried', { code, records: entries.length });
    await new Promise((resolve) => setTimeout(resolve, code.startsWith('53') ? 200 : 1));
    return { skipped: [], again: entries };
  }
  // what the server refused for a reason that is nobody's data is a fault of ours
  const result = error instanceof Unknown ? error : new Problem('engine_fault', { cause: error });
  if (error instanceof Unknown) deps.stats.unknown += 1;
  deps.log('journal.failed', { code, records: entries.length, error });
  for (const entry of entries) deps.settle(entry, result);
  return { skipped: [], again: [] };
}

/** A poisoned batch is halved until one record is left to blame; its segment drops what it computed after it. */
async function poisoned(deps: CommitDeps, lane: Lane, { groups, error }: Failed): Promise<Unsettled> {
  const entries = groups.flatMap((group) => group.entries);
  if (entries.length > 1) return bisect(deps, lane, entries);
  const detail = error instanceof Error ? error.message : String(error);
  deps.log('journal.poisoned', { error });
  for (const entry of entries) deps.settle(entry, new Problem('invalid_task_output', { detail, cause: error }));
  return { skipped: [], again: [] };
}

async function bisect(deps: CommitDeps, lane: Lane, entries: Entry[]): Promise<Unsettled> {
  deps.stats.bisected += 1;
  const half = entries.length >> 1;
  const result: Unsettled = { skipped: [], again: [] };
  for (const part of [entries.slice(0, half), entries.slice(half)]) {
    let rest = part;
    while (rest.length > 0) {
      const { groups, left } = takeBatch(rest, (entry) => dropDead(deps, entry));
      rest = left;
      if (groups.length === 0) continue;
      const { skipped, again } = await commitBatch(deps, lane, groups);
      result.again.push(...skipped.flatMap((group) => group.entries), ...again);
    }
  }
  return result;
}

/** @returns whether the entry's segment had failed, so that the entry was settled with the same error */
export function dropDead(deps: CommitDeps, entry: Entry): boolean {
  const { dead } = entry.record.segment;
  if (!dead) return false;
  deps.settle(entry, dead);
  return true;
}
