import { readOutputs, type OutputRow } from '../db/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { TaskStatus } from '../domain/plan/outcome.ts';
import { Problem, type Failure } from '../domain/problem.ts';
import type { ActivityDeps, Objects } from './deps.ts';
import type { RunContext } from './plans.ts';

/** Outputs up to this many bytes of JSON stand in their row; larger ones in the object store. */
const MAX_ROW_OUTPUT = 64 * 1024;
/** An expression computes with at most this many bytes of task output. */
const MAX_COMPUTED_OUTPUT = 8 * 2 ** 20;

export type ItemView = { index: number; status: TaskStatus; output: Json; error: Json };
/** A task as expressions see it. */
export type TaskView = { status: TaskStatus; output: Json; error: Json; size: number; items?: ItemView[] };

export type Outputs = {
  /** What this process has just computed: read from here before it is durable. */
  settle: (task: number, view: TaskView) => void;
  /** The values of `tasks` for an expression that names these tasks. @throws Problem output_too_large */
  bindings: (reads: readonly number[], computed: readonly number[]) => Promise<JsonObject>;
  /** The items of a mapped task as they stand in the database. */
  items: (task: number) => Promise<ItemView[]>;
};

export const errorOf = (failure: Failure | null): Json =>
  failure && { code: failure.code, message: failure.message, data: failure.data ?? null };

/** Reads outputs of a run's tasks at most once, several at a time. */
export function createOutputs(deps: Pick<ActivityDeps, 'db' | 'objects'>, context: RunContext): Outputs {
  const views = new Map<number, Promise<TaskView> | TaskView>();
  const { graph, tasks: planned } = context.compiled.plan;

  async function load(tasks: number[]): Promise<Map<number, TaskView>> {
    const { run, workspace } = context.facts;
    const mapped = tasks.filter((task) => planned[task]?.map);
    const rows = await readOutputs(deps.db, { run, tasks, items: false });
    const items = mapped.length > 0 ? await readOutputs(deps.db, { run, tasks: mapped, items: true }) : [];
    const loaded = new Map<number, TaskView>();
    for (const task of tasks) {
      const row = rows.find((candidate) => candidate.task === task);
      const view: TaskView = { status: row?.status ?? 'pending', output: null, error: errorOf(row?.failure ?? null), size: row?.size ?? 0 };
      if (mapped.includes(task)) {
        const own = await Promise.all(items.filter((item) => item.task === task).map((item) => itemView(deps.objects, workspace, item)));
        Object.assign(view, { size: items.reduce((sum, item) => sum + (item.task === task ? (item.size ?? 0) : 0), 0) }, mapView(own));
      } else if (row?.status === 'completed') view.output = await outputOf(deps.objects, workspace, row);
      loaded.set(task, view);
    }
    return loaded;
  }

  return {
    settle: (task, view) => views.set(task, view),
    items: async (task) => {
      const { run, workspace } = context.facts;
      const rows = await readOutputs(deps.db, { run, tasks: [task], items: true });
      return Promise.all(rows.map((row) => itemView(deps.objects, workspace, row)));
    },
    bindings: async (reads, computed) => {
      const missing = reads.filter((task) => !views.has(task));
      if (missing.length > 0) {
        const batch = load(missing);
        for (const task of missing) {
          const view = batch.then((all) => pick(all, task));
          view.catch(() => views.delete(task));
          views.set(task, view);
        }
      }
      const bound: JsonObject = {};
      let size = 0;
      for (const task of reads) {
        const view = await views.get(task);
        if (!view) continue;
        if (computed.includes(task)) size += view.size;
        bound[graph.names[task] ?? ''] = view.items
          ? { status: view.status, output: view.output, error: view.error, items: view.items }
          : { status: view.status, output: view.output, error: view.error };
      }
      if (size > MAX_COMPUTED_OUTPUT)
        throw new Problem('output_too_large', {
          detail: `the expressions of this task compute with ${size} bytes of task output, at most ${MAX_COMPUTED_OUTPUT} are allowed`,
        });
      return bound;
    },
  };
}

const pick = (all: ReadonlyMap<number, TaskView>, task: number): TaskView =>
  all.get(task) ?? { status: 'pending', output: null, error: null, size: 0 };

/** A mapped task's output is the outputs of its successful items, in order. */
export const mapView = (items: ItemView[]): Pick<TaskView, 'output' | 'items'> => ({
  items,
  output: items.filter((item) => item.status === 'completed').map((item) => item.output),
});

async function itemView(objects: Objects, workspace: string, row: OutputRow): Promise<ItemView> {
  const output = row.status === 'completed' ? await outputOf(objects, workspace, row) : null;
  return { index: row.item, status: row.status, output, error: errorOf(row.failure) };
}

async function outputOf(objects: Objects, workspace: string, row: OutputRow): Promise<Json> {
  if (row.ref === null) return row.output;
  return JSON.parse((await objects.get(workspace, row.ref)).toString()) as Json;
}

export type StoredOutput = { output?: string; outputRef?: Buffer; outputSize: number };

/** Where an output goes: small ones into the row, large ones into the object store, the same content once. */
export async function storeOutput(objects: Objects, workspace: string, value: Json): Promise<StoredOutput> {
  const text = JSON.stringify(value);
  const size = Buffer.byteLength(text);
  if (size <= MAX_ROW_OUTPUT) return { output: text, outputSize: size };
  const { sha256 } = await objects.put(workspace, Buffer.from(text));
  return { outputRef: Buffer.from(sha256, 'hex'), outputSize: size };
}
