import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { aCluster } from '../tests/chaos/support/cluster.ts';
import { playMany } from '../tests/chaos/support/many.ts';
import { lowPort, startTemporalOnPostgres } from './temporalServer.ts';

/**
 * `node bench/temporalOnPostgres.ts [RUNS]`: the check of many processes, and the scenario of one-task runs with the
 * development server and with a PostgreSQL-backed one in turn. Not part of the tests: it builds the server, with Go 1.26.
 */
const RUNS = Number(process.argv[2] ?? 60);

const cluster = await aCluster({ apis: 2, workers: 3, temporal: { port: lowPort, start: startTemporalOnPostgres } });
try {
  const played = await playMany(cluster, RUNS);
  print({ ...played, carriedBy: Object.fromEntries(played.carriedBy) });
  if (played.bad.length > 0) process.exitCode = 1;
} finally {
  await cluster.stop();
}
for (const store of ['sqlite', 'postgres']) {
  const bench = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'bench/run.ts', '--only', 'one-task', '--reps', '3'], {
    cwd: path.resolve(import.meta.dirname, '..'),
    env: { ...process.env, TIU_BENCH_STORE: store },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.stdout.write(`\nTemporal on ${store}\n`);
  const [code] = (await once(bench, 'exit')) as [number | null];
  if (code !== 0) process.exitCode = 1;
}

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
