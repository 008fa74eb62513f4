// Adapter for a peer benchmark that times several orchestrators with the same graphs: `node run.mjs <this file>` there.
// It goes the way of any client: over HTTP, with an API key, each definition sent whole with its run.
import fs from 'node:fs';
import pg from 'pg';
import { connect } from './connection.ts';
import { definitionOf, noOp } from './definitions.ts';
import { openStack } from './stack.ts';

const POLL_MS = 5;
/** `BENCH_MODE=express` measures that mode. */
const MODE = process.env.BENCH_MODE === 'express' ? 'express' : 'standard';

let stack;
let connection;
let log;

/** @param dag { tasks: [{ deps: [index] }], log? } */
const bodyOf = (dag) => {
  // Encoded once per graph, as a client that runs the same graph again would.
  bodyOf.known ??= new WeakMap();
  let definition = bodyOf.known.get(dag);
  if (!definition)
    bodyOf.known.set(dag, (definition = definitionOf({ name: 'peer', deps: dag.tasks.map((task) => task.deps) }, noOp, MODE)));
  return definition;
};

/**
 * Stands in for the line that a task body writes when it runs: inline tasks have no body that could write to a file. A line
 * is written for every `task.completed` event of the run, so it tells what was recorded (never twice), not what was computed:
 * a pure task whose result died unrecorded with its worker is computed again and is not seen here.
 */
async function openExecutionLog(database, file) {
  const db = new pg.Client(database);
  await db.connect();
  // By the index whatever the statistics: a scan of all events, 200 times a second, took half a processor from what is measured.
  await db.query(
    'set enable_seqscan = off; set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set jit = off',
  );
  const runs = new Map();
  let stopped = false;
  const read = async () => {
    const found = await db.query(
      `select a.run, e.seq::float8 as seq, e.task from unnest($1::uuid[], $2::bigint[]) a(run, after) cross join lateral
       (select e.seq, e.task from run_event e where e.run = a.run and e.seq > a.after and e.type = 'task.completed' order by e.seq) e`,
      [[...runs.keys()], [...runs.values()]],
    );
    if (found.rows.length > 0) fs.appendFileSync(file, found.rows.map(({ run, task }) => `${run} ${task}\n`).join(''));
    for (const { run, seq } of found.rows) runs.set(run, seq);
  };
  // One at a time: two reads from the same place would write a line twice.
  let last = Promise.resolve();
  const readNext = () => (last = last.then(read));
  const loop = (async () => {
    while (!stopped) {
      if (runs.size > 0) await readNext();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  })();
  return {
    watch: (run) => runs.set(run, 0),
    forget: async (run) => {
      if (!runs.has(run)) return;
      await readNext();
      runs.delete(run);
    },
    close: async () => {
      stopped = true;
      await loop;
      await db.end();
    },
  };
}

export default {
  name: 'tiu',
  describe: () => ({
    versions: stack.versions,
    durability:
      'PostgreSQL fsync=on synchronous_commit=on full_page_writes=on; Temporal in a SQLite file, WAL, synchronous=full; an accepted run, every task result and every event is a committed row',
    shape: `${MODE === 'standard' ? 'standard mode: one Temporal workflow a run' : 'express mode: a run that ends in its first segment is no Temporal workflow'}; each task a transform with a constant of 200 bytes, run in segments; api and one worker as processes, HTTP with an API key; W7 counts task.completed events, not executions`,
  }),
  async start({ execLog }) {
    stack = await openStack();
    connection = connect(stack);
    log = await openExecutionLog(stack.own.database, execLog);
  },
  async submit(dag) {
    const id = await connection.submit(bodyOf(dag));
    if (dag.log) log.watch(id);
    return id;
  },
  async wait(id, options) {
    const run = await connection.finished(id, options?.timeoutMs);
    await log.forget(id);
    return { tasks: run.counts.completed };
  },
  pids: () => Object.values(stack.roles()),
  roles: () => stack.roles(),
  killWorker: () => stack.own.killWorker(),
  startWorker: () => stack.own.startWorker(),
  async stop() {
    connection?.close();
    await log?.close();
    await stack?.stop();
  },
};
