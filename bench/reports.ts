import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { makeCluster, postgresPlace } from '../tools/setup.mjs';
import { openPool } from '../src/db/pool.ts';
import { migrate } from '../src/db/migrate.ts';
import { pastRuns } from '../src/db/repositories/progress.ts';
import { listHistory, reportTasks, reportWorkflows } from '../src/db/repositories/reports.ts';
import { startPostgres } from '../src/dev/postgres.ts';
import { aPast } from '../tests/db/aPast.ts';

/**
 * What reports and the reading of earlier runs cost with 100,000 runs of a week: `node bench/reports.ts [times, 10]`; starts a
 * PostgreSQL of its own with its default settings.
 */
const times = Number(process.argv[2] ?? 10);
const RUNS = 100_000;
const HOUR = 3_600_000;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bench-'));
fs.chmodSync(folder, 0o755);
const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
makeCluster(place, path.join(folder, 'password'));
const postgres = await startPostgres({ place, passwordFile: path.join(folder, 'password') });
try {
  await migrate(postgres.url);
  const db = openPool({ url: postgres.url, role: 'tiu_engine', max: 1 });
  const workspace = randomUUID();
  const before = await aPast(db.pool, { workspace, runs: RUNS, overMs: 6 * 24 * HOUR });
  const bounds = { runs: RUNS, tasks: RUNS, rows: 1_000 };
  const last = (hours: number) => ({ workspace, definition: undefined, from: new Date(Date.now() - hours * HOUR), to: new Date() });
  process.stdout.write(`${os.cpus().length} × ${os.cpus()[0]?.model ?? '?'}, load ${os.loadavg()[0]?.toFixed(1) ?? '?'}\n`);
  for (const hours of [1, 24, 7 * 24]) {
    await told(`${hours} h: workflows`, () => reportWorkflows(db, last(hours), bounds));
    await told(`${hours} h: tasks`, () => reportTasks(db, { ...last(hours), by: 'task' }, bounds));
    await told(`${hours} h: 100 of history`, () =>
      listHistory(db, { ...last(hours), status: [] }, { before: undefined, limit: 100, walk: RUNS }),
    );
  }
  await told('20 earlier runs for an estimate', () => pastRuns(db, { workspace, definition: 'd3', before, runs: 20 }));
  await db.close();
} finally {
  await postgres.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}

/** Prints the median and the worst of so many times, ms. */
async function told(what: string, ask: () => Promise<unknown>): Promise<void> {
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    const from = performance.now();
    await ask();
    took.push(performance.now() - from);
  }
  took.sort((a, b) => a - b);
  process.stdout.write(`${what}: ${took[Math.floor(times / 2)]?.toFixed(1) ?? '?'} ms, worst ${took.at(-1)?.toFixed(1) ?? '?'} ms\n`);
}
