import { openConnection, Unknown, type Log } from './connection.ts';
import { createNotices } from './notices.ts';
import { takeBatch, type Entry, type Group } from './journal/batch.ts';
import { commitBatch, dropDead, type CommitDeps, type Lane, type Stats } from './journal/commit.ts';
import type { Committed, JournalRecord } from './journal/record.ts';
import { commitStatement } from './journal/statement.ts';

const MAX_QUEUE = 10_000;
const MAX_QUEUE_BYTES = 32 * 2 ** 20;
const MAX_SKIPS = 5;
const MAX_SKIPPED_MS = 20;
const CLOSE_GRACE_MS = 5_000;

export type Journal = {
  /**
   * Writes a record together with whatever else waits. Resolves after the commit.
   * @throws Refused, Stale, Unknown, Problem invalid_task_output (the database cannot store the row), Problem engine_fault;
   * each also ends the record's segment: what it pushed later fails with the same error
   */
  push: (record: JournalRecord) => Promise<Committed>;
  /** Undefined when there is room; else resolves when there is. */
  room: () => Promise<void> | undefined;
  /** Tells of a run to which something was committed by other means. */
  notify: (runId: string) => void;
  readonly stats: Readonly<Stats> & { readonly queued: number };
  /** Writes what is queued, for at most 5 s, and disconnects. */
  close: () => Promise<void>;
};

type Writer = CommitDeps & {
  main: Lane;
  second: Lane;
  queue: Entry[];
  size: number;
  bytes: number;
  busy: boolean;
  /** Runs that go one at a time on the second connection, with their records in order. */
  alone: Map<string, Entry[]>;
  turn: Promise<void>;
  waiting: (() => void)[];
  closing: boolean;
};

/** The one way results, events and counters get into PostgreSQL: one writer a process, group commit, three connections. */
export function createJournal(deps: { url: string; log?: Log }): Journal {
  const notices = createNotices(deps);
  const lane = (name: string, wait: boolean): Lane => ({
    connection: openConnection({ url: deps.url, name, warm: WARM, log: deps.log }),
    wait,
  });
  const writer: Writer = {
    stats: { commits: 0, records: 0, skips: 0, alone: 0, refused: 0, stale: 0, bisected: 0, unknown: 0, slowestMs: 0 },
    log: deps.log ?? (() => undefined),
    settle: (entry, result) => {
      settle(writer, entry, result);
    },
    notices,
    ...{ main: lane('journal', false), second: lane('journal alone', true) },
    ...{ queue: [], size: 0, bytes: 0, busy: false, alone: new Map(), turn: Promise.resolve(), waiting: [], closing: false },
  };
  return {
    push: (record) => push(writer, record),
    room: () => (hasRoom(writer) ? undefined : new Promise((resolve) => writer.waiting.push(resolve))),
    notify: (run) => {
      notices.tell({ runs: [run], kicks: [] });
    },
    get stats() {
      return { ...writer.stats, queued: writer.size };
    },
    close: async () => {
      writer.closing = true;
      const grace = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_GRACE_MS).unref());
      await Promise.race([drained(writer), grace]);
      await Promise.all([writer.main.connection.end(), writer.second.connection.end(), notices.close()]);
    },
  };
}

const hasRoom = (writer: Writer): boolean => writer.size < MAX_QUEUE && writer.bytes < MAX_QUEUE_BYTES;

async function drained(writer: Writer): Promise<void> {
  while (writer.size > 0) await new Promise<void>((resolve) => writer.waiting.push(resolve));
}

function push(writer: Writer, record: JournalRecord): Promise<Committed> {
  return new Promise((resolve, reject) => {
    if (writer.closing) {
      reject(new Unknown('the journal is closed'));
      return;
    }
    const bytes = record.type === 'applied' ? 0 : (record.output?.length ?? 0);
    writer.queue.push({ record, bytes, skips: 0, since: undefined, resolve, reject });
    writer.size += 1;
    writer.bytes += bytes;
    if (writer.busy) return;
    writer.busy = true;
    setImmediate(() => void write(writer));
  });
}

function settle(writer: Writer, entry: Entry, result: Committed | Error): void {
  writer.size -= 1;
  writer.bytes -= entry.bytes;
  if (result instanceof Error) {
    entry.record.segment.dead ??= result;
    entry.reject(result);
  } else entry.resolve(result);
  if (writer.waiting.length > 0 && (writer.closing || hasRoom(writer))) for (const wake of writer.waiting.splice(0)) wake();
}

/** Batch after batch until the queue is empty. Whatever arrives during a commit goes into the next. */
async function write(writer: Writer): Promise<void> {
  while (writer.queue.length > 0) {
    const { groups, left } = takeBatch(writer.queue, (entry) => dropDead(writer, entry) || joinAlone(writer, entry));
    writer.queue = left;
    if (groups.length === 0) continue;
    const { skipped, again } = await commitBatch(writer, writer.main, groups);
    const retried = again.concat(skipped.flatMap((group) => stepAside(writer, group)));
    writer.queue = retried.concat(writer.queue);
    if (skipped.length === groups.length) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  writer.busy = false;
}

/** Later records of a run that goes alone wait behind it. */
function joinAlone(writer: Writer, entry: Entry): boolean {
  const line = writer.alone.get(entry.record.run);
  line?.push(entry);
  return line !== undefined;
}

/** One busy run must not hold up the others. @returns what goes back to the front of the queue */
function stepAside(writer: Writer, group: Group): Entry[] {
  const first = group.entries[0];
  if (!first) return [];
  writer.stats.skips += 1;
  first.skips += 1;
  first.since ??= performance.now();
  if (first.skips < MAX_SKIPS && performance.now() - first.since < MAX_SKIPPED_MS) return group.entries;
  writer.stats.alone += 1;
  writer.alone.set(group.run, group.entries);
  writer.turn = writer.turn.then(() => writeAlone(writer, group.run));
  return [];
}

async function writeAlone(writer: Writer, run: string): Promise<void> {
  for (let line = writer.alone.get(run) ?? []; line.length > 0; line = writer.alone.get(run) ?? []) {
    const { groups, left } = takeBatch(line, (entry) => dropDead(writer, entry));
    writer.alone.set(run, left);
    if (groups.length === 0) continue;
    const { again } = await commitBatch(writer, writer.second, groups);
    if (again.length > 0) writer.alone.set(run, again.concat(writer.alone.get(run) ?? []));
  }
  writer.alone.delete(run);
}

/** A call for a run that does not exist plans every statement of the function. */
const WARM = commitStatement(
  [
    {
      run: '00000000-0000-0000-0000-000000000000',
      epoch: 0,
      applied: 0,
      close: { type: 'close', status: 'failed', segment: {}, run: '', epoch: 0 },
      entries: [],
      rows: new Map([
        [
          '',
          {
            type: 'task',
            task: 0,
            item: -1,
            generation: 0,
            attempt: 0,
            token: '00000000-0000-0000-0000-000000000000',
            status: 'running',
            deadlineMs: 0,
          },
        ],
      ]),
    },
  ],
  false,
);
