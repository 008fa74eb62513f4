import type { Committed, JournalRecord, TaskRecord } from './record.ts';

const MAX_ROWS = 1_000;
const MAX_BYTES = 4 * 2 ** 20;

/** A record on its way, with those who wait for it. */
export type Entry = {
  record: JournalRecord;
  bytes: number;
  /** How often another writer held the run, and since when (ms). */
  skips: number;
  since: number | undefined;
  resolve: (committed: Committed) => void;
  reject: (error: Error) => void;
};

/** What one run has in a batch. */
export type Group = {
  run: string;
  epoch: number;
  applied: number;
  /** By key of the task, in order of arrival. */
  rows: Map<string, TaskRecord>;
  close: Extract<JournalRecord, { type: 'close' }> | undefined;
  entries: Entry[];
};

export const keyOf = (record: TaskRecord): string => `${record.task} ${record.item} ${record.generation}`;

/**
 * The next batch from the front of `entries`: ascending by run, one epoch a run, one row a task. A start mark and what
 * follows it in the same attempt become one row. What has to wait keeps its order in `left`. `divert` takes an entry out.
 */
export function takeBatch(entries: Entry[], divert: (entry: Entry) => boolean): { groups: Group[]; left: Entry[] } {
  const groups = new Map<string, Group>();
  const held = new Set<string>();
  const left: Entry[] = [];
  let rows = 0;
  let bytes = 0;
  let i = 0;
  for (const entry of entries) {
    if (rows >= MAX_ROWS || bytes >= MAX_BYTES) break;
    i += 1;
    if (divert(entry)) continue;
    if (!held.has(entry.record.run) && admit(groups, entry)) {
      rows += 1;
      bytes += entry.bytes;
    } else {
      held.add(entry.record.run);
      left.push(entry);
    }
  }
  for (const entry of entries.slice(i)) left.push(entry);
  return { groups: [...groups.values()].sort((a, b) => (a.run < b.run ? -1 : 1)), left };
}

/** @returns false when the entry has to wait for the next batch */
function admit(groups: Map<string, Group>, entry: Entry): boolean {
  const { record } = entry;
  const group = groups.get(record.run) ?? newGroup(record);
  if (group.epoch !== record.epoch) return false;
  if (record.type === 'close') {
    if (group.close) return false;
    group.close = record;
  }
  if (record.type === 'task' && !admitRow(group.rows, record)) return false;
  group.applied = Math.max(group.applied, record.applied ?? 0);
  group.entries.push(entry);
  groups.set(record.run, group);
  return true;
}

function admitRow(rows: Map<string, TaskRecord>, record: TaskRecord): boolean {
  const key = keyOf(record);
  const start = rows.get(key);
  if (!start) {
    rows.set(key, record);
    return true;
  }
  if (start.status !== 'running' || start.token !== record.token || start.attempt !== record.attempt) return false;
  rows.delete(key); // so that it takes the place of the later one
  const deadlineMs = record.deadlineMs ?? start.deadlineMs;
  rows.set(key, { ...record, lost: start.lost === true || record.lost === true, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  return true;
}

const newGroup = (record: JournalRecord): Group => ({
  run: record.run,
  epoch: record.epoch,
  applied: 0,
  rows: new Map(),
  close: undefined,
  entries: [],
});
