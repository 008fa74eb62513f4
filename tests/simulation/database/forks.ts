import { Refusal } from '../substitutes/connection.ts';
import { submit } from './submit.ts';
import { addEvent, aTask, itemOrNull, newest, taskKey, type RunRows, type Tables, type TaskRow } from './tables.ts';

const SEED_VALUES = 12;

type Args = readonly [
  ...[
    source: string,
    seq: number,
    audit: string,
    note: string,
    tasks: number[],
    sources: number[],
    again: number[],
    againSources: number[],
  ],
  ...[given: number[], outputs: (string | null)[]],
];

/** @returns as fork_run_v1 @throws Refusal TU404, TU412: nothing is left then */
export function fork(tables: Tables, values: readonly unknown[]): object[] {
  const [source, seq, , , tasks, sources, again, againSources, given, outputs] = values as unknown as Args;
  const rest = values.slice(SEED_VALUES);
  const [known] = submit(tables, rest);
  if (known) return [known].map((row) => ({ ...row, runId: (row as { run: string | null }).run }));
  const run = (rest[0] as string[])[0] ?? '';
  const rows = tables.runs.get(run);
  const from = tables.runs.get(source);
  if (from?.state.finished == null || from.state.lastSeq !== seq || !rows) {
    tables.runs.delete(run);
    for (const [key, { run: of }] of tables.keys) if (of === run) tables.keys.delete(key);
    throw new Refusal(from ? 'TU412' : 'TU404');
  }
  rows.forkedFrom = source;
  const kept = tasks.flatMap((task, i) =>
    rowsOf(from, sources[i] ?? -1)
      .filter(({ finished }) => finished !== null)
      .map((row) => ({ ...row, task })),
  );
  const byHand = given.map((task, i) => ({ ...aTask(task, -1, 0), status: 'completed' as const, output: outputs[i] ?? null }));
  const partly = again.flatMap((task, i) => [
    ...rowsOf(from, againSources[i] ?? -1)
      .filter(({ item, status }) => item >= 0 && (status === 'completed' || status === 'skipped'))
      .map((row) => ({ ...row, task })),
    aTask(task, -1, 0),
  ]);
  for (const row of [...kept, ...byHand, ...partly]) keep(tables, rows, { row, source });
  rows.state.epoch = 1;
  return [{ runId: run, outcome: 'new' }];
}

/** Of the newest generation; items first, then the task itself. */
function rowsOf(from: RunRows, task: number): TaskRow[] {
  const generation = newest(from, [task])[0]?.generation ?? 0;
  const own = [...from.tasks.values()].filter((row) => row.task === task && row.generation === generation);
  return own.sort((a, b) => Number(a.item === -1) - Number(b.item === -1) || a.item - b.item);
}

function keep(tables: Tables, rows: RunRows, { row, source }: { row: TaskRow; source: string }): void {
  const { state } = rows;
  const now = tables.now();
  const seq = ++state.lastSeq;
  const isOpen = row.status === 'pending';
  rows.tasks.set(taskKey(row.task, row.item, 0), {
    ...row,
    generation: 0,
    token: null,
    seq,
    finished: isOpen ? null : (row.finished ?? now),
  });
  const data = isOpen ? { from: source, generation: 0, keptItems: true } : { from: source };
  addEvent(rows, seq, { type: `task.${row.status}`, task: row.task, item: itemOrNull(row.item), data: JSON.stringify(data), at: now });
  if (row.item === -1 && !isOpen) state.open--;
}
