import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../src/db/database.ts';
import { createClient } from '../src/client/createClient.ts';
import { timed } from './scenario.ts';
import { openStack } from './stack.ts';

/**
 * How long it takes to cancel many runs by a filter: `node bench/bulk.ts [runs, 10000] [seconds to let them begin, 20]`; starts a
 * stack of its own. Some of them are queued then, some wait for an hour in their first task.
 */
const runs = Number(process.argv[2] ?? 10_000);
const beginSeconds = Number(process.argv[3] ?? 20);
const BATCH = 500;
const definition = { dsl: 'tiu/1', name: 'waits', tasks: { w: { type: 'wait', with: { for: 'PT1H' } } } };

const stack = await openStack();
try {
  if (!stack.own) throw new Error('needs a stack of its own');
  const client = createClient({ baseUrl: stack.url, token: stack.token });
  const db = await openDatabase({ url: stack.own.database, role: 'tiu_engine', max: 1 });
  const count = async (what: string): Promise<number> => {
    const [row] = await db.rows<{ n: number }>({ name: what, text: `select count(*)::int as n from run_state where ${what}`, values: [] });
    return row?.n ?? 0;
  };
  const print = (text: string) => process.stdout.write(`${text}\n`);
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  print(`${os.cpus().length} × ${os.cpus()[0]?.model ?? '?'}, load ${os.loadavg()[0]?.toFixed(1) ?? '?'}`);
  const submitted = await timed(async () => {
    for (let i = 0; i < runs; i += BATCH)
      await client.runs.startMany(Array.from({ length: Math.min(BATCH, runs - i) }, () => ({ definition })));
  });
  await sleep(beginSeconds * 1_000);
  const queued = await count('started is null and finished is null');
  print(`${runs} runs submitted in ${seconds(submitted)}; ${queued} are queued, ${runs - queued} have begun`);
  const filter = { workflow: 'waits', status: ['queued', 'running', 'waiting'] as const };
  const from = performance.now();
  const job = await client.bulk.start({ filter: { ...filter, status: [...filter.status] }, command: { type: 'cancel' } });
  print(`accepted in ${(performance.now() - from).toFixed(0)} ms`);
  const since = () => seconds(performance.now() - from);
  let seen = job;
  for (let open = runs, told = 0; open > 0; open = await count('finished is null')) {
    const before = seen.status;
    if (before === 'running') seen = await client.bulk.get(job.id);
    if (before !== seen.status) print(`${seen.applied} cancels applied in ${since()}, refused ${JSON.stringify(seen.refused)}`);
    if (performance.now() - told > 5_000) print(`${since()}: ${seen.done} done, ${open} open`);
    if (performance.now() - told > 5_000) told = performance.now();
    await sleep(100);
  }
  print(`all ended after ${since()}`);
  await db.close();
} finally {
  await stack.stop();
}
