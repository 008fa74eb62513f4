import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createSweep } from '../src/activities/kinds/maintenance.ts';
import { openDatabase, type Database } from '../src/db/database.ts';
import { migrate } from '../src/db/migrate.ts';
import { createSubmits } from '../src/db/submit.ts';
import { startPostgres } from '../src/dev/postgres.ts';
import { SYSTEM_WORKSPACE } from '../src/domain/retention/policy.ts';
import { openAuditKeys } from '../src/providers/auditKeys/auditKeys.ts';
import { aSubmit } from '../tests/db/journalRuns.ts';
import { makeCluster, postgresPlace } from '../tools/setup.mjs';
import { quantile } from './spread.ts';

/**
 * Speed of retention, and what a submit waits meanwhile. `node bench/retention.ts [runs, 10000]`; starts a PostgreSQL of its own
 * with its default settings. Each run has 10 tasks and 22 events.
 */
const runs = Number(process.argv[2] ?? 10_000);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bench-'));
fs.chmodSync(folder, 0o755);
const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
makeCluster(place, path.join(folder, 'password'));
const postgres = await startPostgres({ place, passwordFile: path.join(folder, 'password') });
try {
  await migrate(postgres.url);
  const db = await openDatabase({ url: postgres.url, role: 'tiu_engine', max: 4 });
  process.stdout.write(
    `${os.cpus().length} × ${os.cpus()[0]?.model ?? '?'}, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1) ?? '?'}, ${runs} runs\n`,
  );
  for (const share of [1, 0.5]) {
    const idle = await submitting(db, new Promise((resolve) => setTimeout(resolve, 5_000)));
    const rows = await fill(db);
    const from = performance.now();
    const sweeping = sweep(db, share).then(() => performance.now() - from);
    const busy = await submitting(db, sweeping);
    const ms = await sweeping;
    process.stdout.write(
      `share ${share}: ${Math.round(rows / (ms / 1_000))} rows/s (${rows} rows in ${(ms / 1_000).toFixed(1)} s); submit idle ${idle}; meanwhile ${busy}\n`,
    );
  }
  await db.close();
} finally {
  await postgres.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}

async function sweep(db: Database, share: number): Promise<void> {
  const auditKeys = openAuditKeys({});
  const keep = { runDays: 30, auditDays: 0, objectsMs: 0, markedMs: 0 };
  const objects = { list: () => [] as never, sweep: () => Promise.resolve(0), delete: () => Promise.resolve() };
  const execution = {
    runId: randomUUID(),
    workspace: SYSTEM_WORKSPACE,
    taskId: 'runs',
    item: -1,
    generation: 0,
    attempt: 1,
    key: randomUUID(),
  };
  await createSweep({ db, objects, keep, auditKeys, now: Date.now })({ share }, { ...execution, signal: new AbortController().signal });
}

/** One submit after the other while something goes on. */
async function submitting(db: Database, until: Promise<unknown>): Promise<string> {
  const submits = createSubmits({ url: db.url });
  const times: number[] = [];
  const state = { over: false };
  void until.then(() => (state.over = true));
  while (!state.over) {
    const from = performance.now();
    await submits.submitRun(aSubmit());
    times.push(performance.now() - from);
  }
  await submits.close();
  return `p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms of ${times.length}`;
}

async function fill(db: Database): Promise<number> {
  const at = Date.now() - 40 * 86_400_000;
  const ids = Array.from({ length: runs }, (_, i) => {
    const time = (at + i).toString(16).padStart(12, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
  });
  await db.rows({ name: 'week', text: `select partitions_v1(now() - interval '40 days', 0)`, values: [] });
  const each = [
    `insert into run (id, workspace, definition, plan, input, priority, created, created_by) select r, gen_random_uuid(), 'old', '\\x00', '{"n":1}', 2, now(), 'x' from unnest($1::uuid[]) r`,
    `insert into run_state (run, workspace, status, total, open, last_seq, finished) select r, gen_random_uuid(), 'completed', 10, 0, 22, now() - interval '40 days' from unnest($1::uuid[]) r`,
    `insert into task (run, task, item, generation, workspace, status, seq, output, output_size, finished) select r, t, -1, 0, gen_random_uuid(), 'completed', t, to_json(repeat('x', 200)), 202, now() from unnest($1::uuid[]) r, generate_series(0, 9) t`,
    `insert into run_event (run, seq, workspace, type, at) select r, t, gen_random_uuid(), 'task.completed', now() from unnest($1::uuid[]) r, generate_series(1, 22) t`,
    `insert into run_output (run, workspace, output, output_size) select r, gen_random_uuid(), '1', 1 from unnest($1::uuid[]) r`,
  ];
  for (let from = 0; from < ids.length; from += 1_000)
    for (const [i, text] of each.entries()) await db.rows({ name: `fill_${i}`, text, values: [ids.slice(from, from + 1_000)] });
  return ids.length * 35;
}
