import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { adoptRuns, forgetWorker, goneWorkers, reclaimRuns, releaseWorker } from '../../src/db/workers.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let base: TestDatabase;
let db: Database;
const sessions: Session[] = [];
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 8);
});
afterAll(async () => {
  await Promise.all(sessions.map((session) => session.close()));
  await base.drop();
});

const sql = async (text: string, values: unknown[] = []) => (await db.pool.query<Record<string, unknown>>(text, values)).rows;

/** A worker that lives. */
async function aLivingWorker() {
  const id = randomUUID();
  const session = openSession({ url: base.url, worker: { id, name: id, version: '0', data: {} }, log: () => undefined });
  sessions.push(session);
  await session.opened;
  return { id, session };
}

/** A worker whose session has ended without a word, with open runs. */
async function aDeadWorker(runs: number, status = 'running') {
  const { id, session } = await aLivingWorker();
  const ids = Array.from({ length: runs }, () => randomUUIDv7());
  const workspace = randomUUID();
  await sql(
    `insert into run (id, workspace, definition, plan, priority, created, created_by) select i, $2, 'd', '\\x00', 0, now(), 'test' from unnest($1::uuid[]) i`,
    [ids, workspace],
  );
  await sql(
    `insert into run_state (run, workspace, status, epoch, owner, total, open, last_seq, applied_seq, started, cancel_sent)
      select i, $2, $4, 1, $3, 1, 1, 2, 2, now(), true from unnest($1::uuid[]) i`,
    [ids, workspace, id, status],
  );
  await session.close(); // the row stays: it owns runs
  return { id, runs: ids };
}

const gone = (id: string) => ({ id, stalled: false });
const take = (id: string, n = 8) => reclaimRuns(db, { gone: gone(id), worker: randomUUID(), n, claimMs: 5_000 });
const listed = async (id: string) => (await goneWorkers(db, { self: randomUUID(), stalls: true })).find((one) => one.id === id);

test('a worker whose session lives is not listed and cannot be taken over', async () => {
  const { id } = await aLivingWorker();
  expect(await listed(id)).toBeUndefined();
  await sql(
    `insert into run_state (run, workspace, status, epoch, owner, total, open, last_seq, started) values ($1, $1, 'running', 1, $2, 1, 1, 1, now())`,
    [randomUUID(), id],
  );
  expect(await take(id)).toEqual([]);
  expect(await releaseWorker(db, gone(id))).toBe(false);
  await sql('update run_state set finished = now() where owner = $1', [id]);
});

test('one that ended is listed; its runs get another owner and a higher epoch, its promises are taken back', async () => {
  const { id, runs } = await aDeadWorker(3);
  expect(await listed(id)).toEqual({ id, stalled: false });
  const taken = await take(id);
  expect(taken.map(({ runId, epoch, cursor }) => ({ runId, epoch, cursor }))).toEqual(
    [...runs].sort().map((runId) => ({ runId, epoch: 2, cursor: 2 })),
  );
  expect(await sql('select distinct epoch, cancel_sent, owner = $2 as same from run_state where run = any($1)', [runs, id])).toEqual([
    { epoch: 2, cancel_sent: false, same: false },
  ]);
  await forgetWorker(db, id);
  expect(await listed(id)).toBeUndefined();
});

test('takers that race get each run once', async () => {
  for (let round = 0; round < 20; round++) {
    const { id, runs } = await aDeadWorker(20);
    const taken: string[] = [];
    const taker = async () => {
      for (let left = 1; left > 0;) {
        taken.push(...(await take(id, 3)).map(({ runId }) => runId));
        left = (await sql('select from run_state where owner = $1', [id])).length;
      }
    };
    await Promise.all([taker(), taker(), taker(), taker()]);
    expect(taken.sort()).toEqual([...runs].sort());
    expect(await sql('select distinct epoch from run_state where run = any($1)', [runs])).toEqual([{ epoch: 2 }]);
    await forgetWorker(db, id);
  }
});

test('the row of one that still owns an open run stays', async () => {
  const { id } = await aDeadWorker(1);
  await forgetWorker(db, id);
  expect(await listed(id)).toBeDefined();
  await take(id);
});

test('the row of one that ends goes with it, unless it leaves something for others to find', async () => {
  const [done, leaving] = [await aLivingWorker(), await aLivingWorker()];
  leaving.session.leave();
  await Promise.all([done.session.close(), leaving.session.close()]);
  expect([await listed(done.id), await listed(leaving.id)]).toEqual([undefined, gone(leaving.id)]);
  await forgetWorker(db, leaving.id);
});

test('a run that only waits gets another owner and keeps its epoch, but for one that is due or has just begun to wait', async () => {
  const { id, runs } = await aDeadWorker(3, 'waiting');
  const [due, fresh] = runs;
  await sql(
    `insert into run_event (run, seq, workspace, type, at)
      select i, 2, i, 'run.waiting', clock_timestamp() - case when i = $2 then interval '0' else interval '1 minute' end from unnest($1::uuid[]) i`,
    [runs, fresh],
  );
  await sql(
    `insert into wait (run, task, item, generation, kind, workspace, until) values ($1, 0, -1, 0, 'timer', $1, clock_timestamp())`,
    [due],
  );
  expect(new Set((await take(id)).map(({ runId }) => runId))).toEqual(new Set([due, fresh]));
  expect(await adoptRuns(db, { gone: gone(id), worker: randomUUID(), n: 10 })).toBe(1);
  expect(await sql('select epoch from run_state where run = any($1) order by epoch', [runs])).toEqual([
    { epoch: 1 },
    { epoch: 2 },
    { epoch: 2 },
  ]);
  await forgetWorker(db, id);
});

test('sessions that a restart of the server ended have time to come back', async () => {
  const { id } = await aDeadWorker(1);
  const look = async (graceMs: number) =>
    (await sql('select id from ended_workers_v1($1, null, $2)', [randomUUID(), graceMs])).some((row) => row.id === id);
  expect(await look(2 ** 31 - 1)).toBe(true);
  await sql(`update worker set session = '2000-01-01' where id = $1`, [id]); // opened with the server's predecessor
  expect(await look(2 ** 31 - 1)).toBe(false);
  expect(await look(0)).toBe(true);
  await take(id);
});

test('a worker that is stopped is listed and taken over although its session lives, until it is seen again', async () => {
  const { id } = await aLivingWorker();
  const run = randomUUID();
  await sql(
    `insert into run (id, workspace, definition, plan, priority, created, created_by) values ($1, $1, 'd', '\\x00', 0, now(), 'test')`,
    [run],
  );
  await sql(
    `insert into run_state (run, workspace, status, epoch, owner, total, open, last_seq, started) values ($1, $1, 'running', 1, $2, 1, 1, 1, now())`,
    [run, id],
  );
  await sql(`update worker set seen = clock_timestamp() - interval '6 s' where id = $1`, [id]);
  expect(await listed(id)).toEqual({ id, stalled: true });
  expect(await goneWorkers(db, { self: randomUUID(), stalls: false })).not.toContainEqual({ id, stalled: true });
  const stalled = { gone: { id, stalled: true }, worker: randomUUID(), n: 8, claimMs: 5_000 };
  await sql('update worker set seen = clock_timestamp() where id = $1', [id]);
  expect(await reclaimRuns(db, stalled)).toEqual([]);
  await sql(`update worker set seen = clock_timestamp() - interval '6 s' where id = $1`, [id]);
  expect((await reclaimRuns(db, stalled)).map(({ runId }) => runId)).toEqual([run]);
});
