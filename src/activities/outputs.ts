import { Readable } from 'node:stream';
import { readOutputs, readStanding, type OutputRow } from '../db/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { isObject } from '../domain/json.ts';
import type { TaskStatus } from '../domain/plan/outcome.ts';
import { MAIN, phaseOf } from '../domain/plan/phases.ts';
import { Problem, type Failure } from '../domain/problem.ts';
import type { ActivityDeps, Objects } from './deps.ts';
import type { CompiledTask, RunContext } from './plans.ts';
import { asJson, encode, filled, isStored, revive, storedIn, StoredValue } from '../domain/run/storedValue.ts';
import { bytesOf, sizeOf } from '../providers/objectStore/storedBytes.ts';

/** Outputs up to this many bytes of JSON stand in their row; larger ones in the object store. */
const MAX_ROW_OUTPUT = 64 * 1024;
/** An expression computes with at most this many bytes of task output. */
const MAX_COMPUTED_OUTPUT = 8 * 2 ** 20;

export type ItemView = { index: number; status: TaskStatus; output: Json; error: Json };
/** A task as expressions see it. What lies in the object store is a `StoredValue` until somebody computes with it. */
export type TaskView = { status: TaskStatus; output: Json; error: Json; size: number; items?: ItemView[] };

export type Outputs = {
  /** What this process has just computed: read from here before it is durable. */
  settle: (task: number, view: TaskView) => void;
  /**
   * The values of `reads` for expressions that compute with those of `computed` and pass on the places of `passed` unread.
   * @throws Problem output_too_large
   */
  bindings: (names: Pick<CompiledTask, 'reads' | 'computed' | 'passed'>) => Promise<JsonObject>;
  /** What `run.status` says to a task: how the run ends, once that is decided. */
  runStatus: (task: number) => Promise<string>;
  /** The items of a mapped task as they stand in the database. */
  items: (task: number) => Promise<ItemView[]>;
};

export const errorOf = (failure: Failure | null): Json =>
  failure && { code: failure.code, message: failure.message, data: failure.data ?? null };

/** Reads outputs of a run's tasks at most once, several at a time. */
export function createOutputs(deps: Pick<ActivityDeps, 'db' | 'objects'>, context: RunContext): Outputs {
  const views = new Map<number, Promise<TaskView> | TaskView>();
  const { graph, tasks: planned } = context.compiled.plan;
  const { run, workspace } = context.facts;

  async function load(tasks: number[]): Promise<Map<number, TaskView>> {
    const mapped = tasks.filter((task) => planned[task]?.map);
    const rows = await readOutputs(deps.db, { run, tasks, items: false });
    const items = mapped.length > 0 ? await readOutputs(deps.db, { run, tasks: mapped, items: true }) : [];
    const loaded = new Map<number, TaskView>();
    for (const task of tasks) {
      const row = rows.find((candidate) => candidate.task === task);
      const view: TaskView = { status: row?.status ?? 'pending', output: null, error: errorOf(row?.failure ?? null), size: row?.size ?? 0 };
      if (mapped.includes(task)) {
        const own = items.filter((item) => item.task === task);
        Object.assign(view, { size: own.reduce((sum, item) => sum + (item.size ?? 0), 0) }, mapView(own.map(itemView)));
      } else if (row?.status === 'completed') view.output = outputOf(row);
      loaded.set(task, view);
    }
    return loaded;
  }

  function fetch(tasks: readonly number[]): void {
    const missing = tasks.filter((task) => !views.has(task));
    if (missing.length === 0) return;
    const batch = load(missing);
    for (const task of missing) {
      const view = batch.then((all) => pick(all, task));
      view.catch(() => views.delete(task));
      views.set(task, view);
    }
  }

  /** The view with what it stores read, once for all who ask. */
  async function whole(task: number, view: TaskView): Promise<TaskView> {
    if (!holdsStored(view)) return view;
    const read = (stored: StoredValue) => readStored(deps.objects, workspace, stored);
    const output = await filled(view.output, read);
    const items = view.items && (await Promise.all(view.items.map(async (item) => ({ ...item, output: await filled(item.output, read) }))));
    const full = { ...view, output, ...(items && { items }) };
    views.set(task, full);
    return full;
  }

  return {
    ...{ settle: (task: number, view: TaskView) => views.set(task, view), runStatus: (task: number) => statusSeenBy(deps, context, task) },
    items: async (task) => (await readOutputs(deps.db, { run, tasks: [task], items: true })).map(itemView),
    bindings: async ({ reads, computed, passed }) => {
      fetch(reads);
      const seen = await Promise.all(reads.map(async (task) => [task, await views.get(task)] as const));
      const read = new Set(computed);
      for (const [task, view] of seen)
        if (view && passed.some((place) => place.task === task && leadsInto(view, place.path))) read.add(task);
      const size = seen.reduce((sum, [task, view]) => sum + (read.has(task) ? (view?.size ?? 0) : 0), 0);
      if (size > MAX_COMPUTED_OUTPUT) throw tooLarge(size);
      const bound: JsonObject = {};
      for (const [task, view] of seen) {
        if (!view) continue;
        const { status, output, error, items } = read.has(task) ? await whole(task, view) : view;
        bound[graph.names[task] ?? ''] = items ? { status, output, error, items } : { status, output, error };
      }
      return bound;
    },
  };
}

/** `run.status` for a task: what cleans up sees how the run ends. */
async function statusSeenBy(deps: Pick<ActivityDeps, 'db'>, { compiled, facts }: RunContext, task: number): Promise<string> {
  if (phaseOf(compiled.plan.graph, task) === MAIN) return 'running';
  return (await readStanding(deps.db, facts.run))?.decided ?? 'running';
}

const tooLarge = (size: number) =>
  new Problem('output_too_large', {
    detail: `the expressions of this task compute with ${size} bytes of task output, at most ${MAX_COMPUTED_OUTPUT} are allowed`,
  });

const holdsStored = (view: TaskView): boolean =>
  storedIn(view.output).length > 0 || (view.items ?? []).some((item) => storedIn(item.output).length > 0);

/** Whether a place lies inside a value that is stored, so that passing it on means reading. */
function leadsInto(view: TaskView, path: readonly string[]): boolean {
  let at: Json | undefined = view.output;
  for (const key of path) {
    if (isStored(at)) return true;
    at = Array.isArray(at) ? at[Number(key)] : isObject(at) ? at[key] : undefined;
  }
  return false;
}

const pick = (all: ReadonlyMap<number, TaskView>, task: number): TaskView =>
  all.get(task) ?? { status: 'pending', output: null, error: null, size: 0 };

/** A mapped task's output is the outputs of its successful items, in order. */
export const mapView = (items: ItemView[]): Pick<TaskView, 'output' | 'items'> => ({
  items,
  output: items.filter((item) => item.status === 'completed').map((item) => item.output),
});

const itemView = (row: OutputRow): ItemView => ({
  index: row.item,
  status: row.status,
  output: row.status === 'completed' ? outputOf(row) : null,
  error: errorOf(row.failure),
});

/** A row holds its output, or names the object that is it, or both: then its text names objects in it. */
function outputOf(row: OutputRow): Json {
  if (row.ref === null) return row.output;
  return row.output === null ? asJson(new StoredValue(row.ref, row.size ?? 0)) : revive(row.output);
}

const readStored = async (objects: Objects, workspace: string, stored: StoredValue): Promise<Json> => {
  if (stored.size > MAX_COMPUTED_OUTPUT) throw tooLarge(stored.size);
  return JSON.parse((await objects.get(workspace, stored.sha256)).toString()) as Json;
};

/** A value with all that it stores read. @throws Problem output_too_large */
export async function readWhole(objects: Objects, workspace: string, value: Json): Promise<Json> {
  const size = storedIn(value).reduce((sum, stored) => sum + stored.size, 0);
  if (size > MAX_COMPUTED_OUTPUT) throw tooLarge(size);
  return filled(value, (stored) => readStored(objects, workspace, stored));
}

export type StoredOutput = { output?: string; outputRef?: Buffer; outputSize: number };

/**
 * Where an output goes: small ones into the row, large ones into the object store, the same content once. What is stored
 * already is only named.
 * @throws Problem output_too_large beyond `maxOutput` bytes
 */
export async function storeOutput(
  deps: Pick<ActivityDeps, 'objects' | 'maxOutput'>,
  workspace: string,
  value: Json,
): Promise<StoredOutput> {
  if (isStored(value)) return { outputRef: Buffer.from(value.sha256, 'hex'), outputSize: value.size };
  const { text, parts, exact } = encode(value);
  const outputSize = sizeOf(value);
  if (outputSize > deps.maxOutput)
    throw new Problem('output_too_large', { detail: `the output has ${outputSize} bytes, at most ${deps.maxOutput} are allowed` });
  const [first] = parts;
  const fits = exact && Buffer.byteLength(text) <= MAX_ROW_OUTPUT;
  if (fits && !first) return { output: text, outputSize };
  if (fits && first) return { output: text, outputRef: Buffer.from(first.sha256, 'hex'), outputSize };
  const { sha256 } = await deps.objects.put(workspace, first ? Readable.from(bytesOf(deps.objects, workspace, value)) : Buffer.from(text));
  return { outputRef: Buffer.from(sha256, 'hex'), outputSize };
}
