import { Readable } from 'node:stream';
import type { Json } from '../../../domain/json.ts';
import { isClosed } from '../../../domain/plan/outcome.ts';
import { countedTasks } from '../../../domain/plan/phases.ts';
import { Problem } from '../../../domain/problem.ts';
import { planMarks } from '../../../domain/redaction/planMarks.ts';
import { isStored } from '../../../domain/run/storedValue.ts';
import { bytesOf, sizeOf } from '../../../providers/objectStore/storedBytes.ts';
import { countItems, findOutput, findTask, listEvents, listItems, listTasks, type RunRow } from '../../../db/repositories/runs.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { eventStream } from '../../realtime/eventStream.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { anyJson, noQuery } from '../../schemas.ts';
import { etagOf, presentEvent, presentItem, presentTask } from '../../runs/present.ts';
import { loadRun, planOf, readMapOutput, readShown, streamable, taskOf } from '../../runs/readRun.ts';
import { readProgress } from '../../runs/runProgress.ts';
import { runParams } from '../../runs/schemas.ts';
import { EventList, eventsQuery, ItemList, itemsQuery, Progress, RunOutput, TaskDetail, TaskList, taskParams } from './schemas.ts';

const tag = 'runs';

/** A task with what of its output is not shown. @throws Problem not_found */
async function shownTask(deps: Deps, run: RunRow, id: string) {
  const { plan, index } = await taskOf(deps, run, id);
  const marks = planMarks(plan).tasks[index]?.output;
  if (!marks) throw new Problem('engine_fault', { detail: 'a task without marks' });
  return { plan, index, marks, key: { run: run.id, workspace: run.workspace, task: index, marks } };
}

const tasks = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/tasks',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'Tasks of a run',
  request: { params: runParams, query: noQuery },
  responses: { 200: { description: 'All of them, in an order that follows their edges', schema: TaskList } },
  load: loadRun,
  handler: async ({ deps, resource }) => {
    const plan = await planOf(deps, resource);
    const mapped = plan.tasks.some((task) => task.map);
    const [rows, items] = await Promise.all([listTasks(deps.db, resource.id), mapped ? countItems(deps.db, resource.id) : []]);
    const byTask = new Map(rows.map((row) => [row.task, row]));
    return {
      status: 200,
      body: {
        items: plan.tasks.flatMap((_, index) => {
          const row = byTask.get(index);
          return row || index < countedTasks(plan.graph) ? [presentTask(plan, index, { row, items })] : []; // compensations that are needed
        }),
      },
      headers: { etag: etagOf(resource) },
    };
  },
});

const task = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/tasks/{task}',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'One task, with its output',
  request: { params: taskParams, query: noQuery },
  responses: { 200: { description: 'The task', schema: TaskDetail } },
  load: loadRun,
  handler: async ({ deps, resource, params }) => {
    const { plan, index, key } = await shownTask(deps, resource, params.task);
    const mapped = plan.tasks[index]?.map !== undefined;
    const row = await findTask(deps.db, { run: resource.id, task: index });
    const items = mapped ? await countItems(deps.db, resource.id) : [];
    const output = row?.status !== 'completed' ? null : mapped ? await readMapOutput(deps, key) : await readShown(deps, row, key);
    return { status: 200, body: { ...presentTask(plan, index, { row, items }), output } };
  },
});

const items = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/tasks/{task}/items',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'Items of a mapped task, by index',
  request: { params: taskParams, query: itemsQuery },
  responses: { 200: { description: 'A page of the items that something happened to', schema: ItemList } },
  load: loadRun,
  handler: async ({ deps, resource, params, query }) => {
    const { index, marks } = await shownTask(deps, resource, params.task);
    const after = Number(fromCursor(query.cursor, /^\d{1,9}$/) ?? -1);
    const rows = await listItems(deps.db, { run: resource.id, task: index }, { status: query.status, after, limit: query.limit + 1 });
    const page = pageOf(rows, query.limit, (row) => String(row.item));
    return { status: 200, body: { items: page.rows.map((row) => presentItem(row, marks)), nextCursor: page.nextCursor } };
  },
});

const output = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/output',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'What a run gave',
  request: { params: runParams, query: noQuery },
  responses: { 200: { description: 'Its output; null unless it completed', schema: RunOutput } },
  problems: ['run_not_finished'],
  load: loadRun,
  handler: async ({ deps, resource }) => {
    if (!isClosed(resource.status)) throw new Problem('run_not_finished', { retryAfterMs: 1_000 });
    const row = await findOutput(deps.db, resource.id);
    const shown = { workspace: resource.workspace, marks: planMarks(await planOf(deps, resource)).output };
    const head = `{"runId":"${resource.id}","status":"${resource.status}","output":`;
    return streamed(deps, resource, {
      value: row ? await streamable(deps, row, shown) : null,
      around: [head, '}'],
      etag: etagOf(resource),
    });
  },
});

/** JSON text that is sent as it is read: nothing large is ever in memory. */
function streamed(deps: Deps, run: RunRow, answer: { value: Json; around: readonly [string, string]; etag: string }): Reply {
  const { value, etag } = answer;
  const [head, tail] = answer.around;
  async function* bytes() {
    yield Buffer.from(head);
    yield* bytesOf(deps.objects, run.workspace, value);
    yield Buffer.from(tail);
  }
  const length = Buffer.byteLength(head) + sizeOf(value) + Buffer.byteLength(tail);
  return { status: 200, type: 'application/json', body: Readable.from(bytes()), headers: { etag, 'content-length': String(length) } };
}

const taskOutput = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/tasks/{task}/output',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'Output of a task alone, of whatever size',
  request: { params: taskParams, query: noQuery },
  responses: {
    200: {
      description: 'The JSON value; null unless the task completed',
      schema: anyJson,
      headers: { etag: 'Its SHA-256, of an output that is stored' },
    },
    304: { description: 'The client has it' },
  },
  load: loadRun,
  handler: async ({ deps, resource, params, headers }) => {
    const { plan, index, key } = await shownTask(deps, resource, params.task);
    const row = await findTask(deps.db, { run: resource.id, task: index });
    const done = row?.status === 'completed';
    const value = !done ? null : plan.tasks[index]?.map ? await readMapOutput(deps, key) : await streamable(deps, row, key);
    const etag = isStored(value) ? `"${value.sha256}"` : `W/${etagOf(resource)}`;
    if (headers['if-none-match'] === etag) return { status: 304, headers: { etag } };
    return streamed(deps, resource, { value, around: ['', ''], etag });
  },
});

const events = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/events',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'Events of a run after a number',
  description:
    'With `Accept: text/event-stream` they are streamed as they come, `id:` being their number, until the run is closed; `Last-Event-ID` continues a stream.',
  request: { params: runParams, query: eventsQuery },
  responses: {
    200: { description: 'Events in order, without a gap', schema: EventList, types: ['application/json', 'text/event-stream'] },
  },
  load: loadRun,
  handler: async ({ deps, resource, query, headers, gone, revoked, raw }) => {
    if (wantsStream(headers.accept)) {
      const last = Number(headers['last-event-id'] ?? query.after ?? 0);
      raw.socket.setTimeout(0);
      const after = Number.isSafeInteger(last) && last >= 0 ? last : 0;
      const stream = await eventStream(deps.rooms, resource, { after, gone: AbortSignal.any([gone(), revoked()]) });
      return { status: 200, type: 'text/event-stream', body: stream, headers: { 'x-accel-buffering': 'no' } };
    }
    const { names } = (await planOf(deps, resource)).graph;
    const rows = await listEvents(deps.db, {
      run: resource.id,
      after: query.after ?? 0,
      until: Number.MAX_SAFE_INTEGER,
      limit: query.limit,
    });
    return {
      status: 200,
      body: { items: rows.map((row) => presentEvent(names, row)), lastSeq: Math.max(resource.last_seq, rows.at(-1)?.seq ?? 0) },
    };
  },
});

const wantsStream = (accept: string | undefined): boolean =>
  (accept ?? '').split(',').some((type) => type.trim().toLowerCase().startsWith('text/event-stream'));

const progress = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/progress',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'How far a run is, when it will end and what decides that',
  request: { params: runParams, query: noQuery },
  responses: { 200: { description: 'As it is now', schema: Progress } },
  load: loadRun,
  handler: async ({ deps, resource }) => ({ status: 200, body: await readProgress(deps, resource) }),
});

export const progressRoutes: readonly Route[] = [progress, tasks, task, taskOutput, items, output, events];
