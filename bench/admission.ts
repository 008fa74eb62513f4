import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { makeCluster, postgresPlace } from '../tools/setup.mjs';
import { openConnection, type Connection } from '../src/db/connection.ts';
import { migrate } from '../src/db/migrate.ts';
import { startPostgres } from '../src/dev/postgres.ts';

/**
 * What a tick of admission costs with 100,000 queued runs: `node bench/admission.ts [ticks, 200] [explain]`; starts a
 * PostgreSQL of its own with its default settings. `alone` is the choice without the beginning and its commit.
 */
const ticks = Number(process.argv[2] ?? 200);
const explain = process.argv[3] === 'explain';
const SHAPES: { name: string; groups: { n: number; workspaces: number; key: string | null }[] }[] = [
  { name: 'one workspace, no keys', groups: [{ n: 100_000, workspaces: 1, key: null }] },
  { name: '100 workspaces', groups: [{ n: 100_000, workspaces: 100, key: null }] },
  {
    name: 'one key whose limit is reached, and 100 others',
    groups: [
      { n: 99_900, workspaces: 1, key: 'hot' },
      { n: 100, workspaces: 1, key: null },
    ],
  },
  { name: 'a key for each run', groups: [{ n: 100_000, workspaces: 1, key: 'key #' }] },
  {
    name: 'mixed: half without a key, 30,000 behind one, 20,000 keys',
    groups: [
      { n: 50_000, workspaces: 10, key: null },
      { n: 30_000, workspaces: 1, key: 'hot' },
      { n: 20_000, workspaces: 10, key: 'key #' },
    ],
  },
];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bench-'));
fs.chmodSync(folder, 0o755);
const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
makeCluster(place, path.join(folder, 'password'));
const postgres = await startPostgres({ place, passwordFile: path.join(folder, 'password') });
try {
  await migrate(postgres.url);
  const admin = new pg.Client(postgres.url);
  const engine = openConnection({ url: postgres.url, name: 'bench' });
  await admin.connect();
  process.stdout.write(`${os.cpus().length} × ${os.cpus()[0]?.model ?? '?'}, load ${os.loadavg()[0]?.toFixed(1) ?? '?'}\n`);
  for (const { name, groups } of SHAPES) {
    await admin.query('truncate run_state, run, run_event, queue_cursor');
    for (const group of groups) await enqueue(admin, group);
    await admin.query('vacuum analyze run_state');
    const alone = await measure(async () => {
      await engine.rows({ name: 'alone', text: 'select run from select_runs_v2(16, array[]::uuid[])', values: [] });
    });
    const whole = await measure(async () => {
      await engine.rows({ name: 'whole', text: 'select run from admit_v3($1, 16, 5000, array[]::uuid[])', values: [randomUUID()] });
    });
    process.stdout.write(`${name}: alone ${alone}; select and begin ${whole}\n`);
    if (explain) process.stdout.write(`${await explained(engine)}\n`);
  }
  await Promise.all([admin.end(), engine.end()]);
} finally {
  await postgres.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}

/** Accepts runs, a millisecond after each other. `#` in a key is the number of the run. */
async function enqueue(admin: pg.Client, group: { n: number; workspaces: number; key: string | null }): Promise<void> {
  await admin.query(
    `insert into run (id, workspace, definition, plan, priority, created, created_by, ckey, climit)
      select (substr(uuid7_floor(now())::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, ('00000000-0000-7000-8000-' || lpad((g % $2 + 1)::text, 12, '0'))::uuid, 'd', '\\x00', 2,
        now() - interval '1 hour' + g * interval '1 ms', 'bench', replace($3, '#', g::text), 1 from generate_series(1, $1::int) g`,
    [group.n, group.workspaces, group.key],
  );
  await admin.query(
    `insert into run_state (run, workspace, status, total, open, last_seq) select id, workspace, 'queued', 1, 1, 1 from run r where not exists (select from run_state s where s.run = r.id)`,
  );
}

async function measure(tick: () => Promise<void>): Promise<string> {
  const ms: number[] = [];
  for (let i = 0; i < ticks; i++) {
    const from = performance.now();
    await tick();
    ms.push(performance.now() - from);
  }
  ms.sort((a, b) => a - b);
  const at = (share: number) => (ms[Math.floor(ms.length * share)] ?? 0).toFixed(2);
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms`;
}

async function explained(engine: Connection): Promise<string> {
  const rows = await engine.rows<{ 'QUERY PLAN': string }>({
    name: 'explain',
    text: 'explain (analyze, buffers) select * from select_runs_v2(16, array[]::uuid[])',
    values: [],
  });
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}
