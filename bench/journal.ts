import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { openConnection } from '../src/db/connection.ts';
import { openDatabase } from '../src/db/database.ts';
import { createJournal } from '../src/db/journal.ts';
import { keyOf, type Group } from '../src/db/journal/batch.ts';
import { commitStatement } from '../src/db/journal/statement.ts';
import type { JournalRecord, TaskRecord } from '../src/db/journal/record.ts';
import { migrate } from '../src/db/migrate.ts';
import { startPostgres } from '../src/dev/postgres.ts';
import { aRecord, someRuns } from '../tests/db/journalRuns.ts';
import { makeCluster, postgresPlace } from '../tools/setup.mjs';

/**
 * Cost of journal_commit_v1 by batch size, and results a second through the whole journal.
 * `node bench/journal.ts [seconds per figure, 3]`; starts a PostgreSQL of its own with its default settings.
 */
const seconds = Number(process.argv[2] ?? 3);
const PER_RUN = 10;
const OUTPUT = JSON.stringify({ ok: true, items: [1, 2, 3], text: 'x'.repeat(100) });

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bench-'));
fs.chmodSync(folder, 0o755);
const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
makeCluster(place, path.join(folder, 'password'));
const postgres = await startPostgres({ place, passwordFile: path.join(folder, 'password') });
try {
  await migrate(postgres.url);
  const db = await openDatabase({ url: postgres.url, role: 'tiu_engine', max: 2 });
  // a few thousand other runs: a plan made on an empty table would flatter
  await someRuns(db, 5_000);
  const admin = new pg.Client(postgres.url);
  await admin.connect();
  await admin.query('analyze');
  const machine = `${os.cpus().length} × ${os.cpus()[0]?.model ?? '?'}, Node ${process.version}, PostgreSQL ${(await admin.query<{ v: string }>(`select current_setting('server_version') as v`)).rows[0]?.v ?? '?'}`;
  process.stdout.write(`${machine}\n`);
  for (const sync of ['on', 'off']) {
    await admin.query(`alter role tiu set synchronous_commit = ${sync}`);
    for (const batch of [1, 10, 100, 1_000]) {
      const runs = await someRuns(db, Math.max(1, batch / PER_RUN), 1_000_000);
      const { median, p99, perSecond } = await measure(runs, batch);
      process.stdout.write(
        `batch ${String(batch).padStart(4)}, synchronous_commit ${sync.padEnd(3)}: median ${String(median).padStart(5)} µs, p99 ${String(p99).padStart(6)} µs, ${perSecond} results/s\n`,
      );
    }
  }
  await admin.query('alter role tiu reset synchronous_commit');
  process.stdout.write(`whole journal, 1,000 callers on 100 runs: ${await throughput(await someRuns(db, 100, 1_000_000))} results/s\n`);
  await admin.end();
  await db.close();
} finally {
  await postgres.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}

async function measure(runs: string[], batch: number): Promise<{ median: number; p99: number; perSecond: number }> {
  const connection = openConnection({ url: postgres.url, name: 'bench' });
  const token = randomUUID();
  const perRun = batch / runs.length;
  const micros: number[] = [];
  let task = 0;
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) {
    const groups = runs.map((run): Group => {
      const records = Array.from(
        { length: perRun },
        (_, i) => aRecord(run, { task: task + i, token, output: OUTPUT }) as JournalRecord & TaskRecord,
      );
      return { run, epoch: 1, applied: 0, rows: new Map(records.map((r) => [keyOf(r), r])), close: undefined, entries: [] };
    });
    task += perRun;
    const statement = commitStatement(groups, false);
    const from = performance.now();
    await connection.rows(statement);
    micros.push((performance.now() - from) * 1_000);
  }
  await connection.end();
  const sorted = micros.slice(10).sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0);
  return { median: at(0.5), p99: at(0.99), perSecond: Math.round((sorted.length * batch * 1e6) / sorted.reduce((a, b) => a + b, 0)) };
}

async function throughput(runs: string[]): Promise<number> {
  const journal = createJournal({ url: postgres.url });
  const token = randomUUID();
  let task = 0;
  let done = 0;
  const until = performance.now() + seconds * 1_000;
  const caller = async (run: string) => {
    while (performance.now() < until) {
      await journal.push(aRecord(run, { task: task++, token, output: OUTPUT }));
      done += 1;
    }
  };
  await Promise.all(runs.flatMap((run) => Array.from({ length: 10 }, () => caller(run))));
  await journal.close();
  return Math.round(done / seconds);
}
