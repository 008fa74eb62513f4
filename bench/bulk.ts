import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection as TemporalConnection } from '@temporalio/client';
import { openDatabase } from '../src/db/database.ts';
import { createClient } from '../src/client/createClient.ts';
import { SYSTEM_WORKSPACE } from '../src/domain/retention/policy.ts';
import { connect } from './connection.ts';
import { latencies, timed } from './scenario.ts';
import { openStack } from './stack.ts';

/**
 * How long it takes to cancel many runs by a filter: `node bench/bulk.ts [runs, 10000] [seconds to let them begin]`; starts a
 * stack of its own. They wait for an hour in their first task. Without the seconds, all of them have begun and wait when the
 * cancel comes; with them, some are still queued. Before that, some are cancelled one by one.
 */
const runs = Number(process.argv[2] ?? 10_000);
const beginSeconds = process.argv[3] === undefined ? undefined : Number(process.argv[3]);
const BATCH = 500;
const ALONE = 20;
const definition = { dsl: 'tiu/1', name: 'waits', tasks: { w: { type: 'wait', with: { for: 'PT1H' } } } };
const alone = { ...definition, name: 'alone' };

const stack = await openStack();
try {
  if (!stack.own) throw new Error('needs a stack of its own');
  const client = createClient({ baseUrl: stack.url, token: stack.token });
  const connection = connect({ url: stack.url, token: stack.token });
  const temporal = await TemporalConnection.connect({ address: stack.own.temporal });
  const { workflow } = new Client({ connection: temporal });
  const db = await openDatabase({ url: stack.own.database, role: 'tiu_engine', max: 1 });
  const count = async (what: string): Promise<number> => {
    const [row] = await db.rows<{ n: number }>({
      name: what,
      text: `select count(*)::int as n from run_state where workspace <> '${SYSTEM_WORKSPACE}' and ${what}`,
      values: [],
    });
    return row?.n ?? 0;
  };
  const print = (text: string) => process.stdout.write(`${text}\n`);
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  print(`${os.cpus().length} × ${os.cpus()[0]?.model ?? '?'}, load ${os.loadavg()[0]?.toFixed(1) ?? '?'}`);
  const each: number[] = [];
  for (let i = 0; i < ALONE; i++) {
    const id = await connection.submit(alone);
    await connection.reaches(id, 'waiting');
    const ended = connection.reaches(id, 'cancelled');
    each.push(await timed(() => Promise.all([connection.post(`/api/v1/runs/${id}/cancel`, {}), ended])));
  }
  print(`one by one, from the cancel to the end: ${JSON.stringify(latencies(each))}`);
  const submitted = await timed(async () => {
    for (let i = 0; i < runs; i += BATCH)
      await client.runs.startMany(Array.from({ length: Math.min(BATCH, runs - i) }, () => ({ definition })));
  });
  const began = performance.now();
  if (beginSeconds !== undefined) await sleep(beginSeconds * 1_000);
  else for (let waiting = 0; waiting < runs; waiting = await count(`status = 'waiting'`)) await sleep(1_000);
  const queued = await count('started is null and finished is null');
  print(
    `${runs} runs submitted in ${seconds(submitted)}; ${seconds(performance.now() - began)} later ${queued} are queued, ${runs - queued} have begun`,
  );
  print(`load ${os.loadavg()[0]?.toFixed(1) ?? '?'}`);
  const filter = { workflow: 'waits', status: ['queued', 'running', 'waiting'] as const };
  const from = performance.now();
  const job = await client.bulk.start({ filter: { ...filter, status: [...filter.status] }, command: { type: 'cancel' } });
  print(`accepted in ${(performance.now() - from).toFixed(0)} ms`);
  const since = () => seconds(performance.now() - from);
  let seen = job;
  let firstDone = false;
  for (let open = runs, told = 0; open > 0 || seen.status === 'running'; open = await count('finished is null')) {
    const before = seen.status;
    if (before === 'running') seen = await client.bulk.get(job.id);
    if (!firstDone && seen.done > 0) print(`the first were taken within ${since()}`);
    firstDone ||= seen.done > 0;
    if (before !== seen.status) print(`${seen.applied} cancels applied in ${since()}, refused ${JSON.stringify(seen.refused)}`);
    if (performance.now() - told > 5_000) print(`${since()}: ${seen.done} done, ${open} open`);
    if (performance.now() - told > 5_000) told = performance.now();
    await sleep(firstDone ? 100 : 10);
  }
  print(`all ended after ${since()}, load ${os.loadavg()[0]?.toFixed(1) ?? '?'}`);
  const shown = async () => (await workflow.count(`WorkflowType = 'waits' AND ExecutionStatus = 'Running'`)).count;
  for (let left = await shown(), told = performance.now(); left > 0; left = await shown()) {
    if (performance.now() - told > 30_000) print(`${since()}: ${left} not yet shown as ended in Temporal`);
    if (performance.now() - told > 30_000) told = performance.now();
    await sleep(500);
  }
  const words = await workflow.count(`WorkflowType = 'waits' GROUP BY ExecutionStatus`);
  print(`all ended in Temporal after ${since()}: ${words.groups.map((g) => `${String(g.groupValues[0])} ${g.count}`).join(', ')}`);
  await db.close();
  connection.close();
  await temporal.close();
} finally {
  await stack.stop();
}
