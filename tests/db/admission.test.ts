import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type pg from 'pg';
import type { Database } from '../../src/db/database.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let base: TestDatabase;
let db: Database;
let owner: Database;
beforeAll(async () => {
  base = await aDatabase();
  [db, owner] = await Promise.all([base.open('tiu_engine', 8), base.open('tiu_owner', 1)]);
});
afterAll(() => base.drop());
beforeEach(async () => {
  await owner.pool.query('truncate run_state, run, run_event, task, queue_cursor');
});

const A = '00000000-0000-7000-8000-00000000000a';
const B = '00000000-0000-7000-8000-00000000000b';

type Queued = { workspace?: string; n?: number; priority?: number; ago?: string; key?: string; limit?: number };

/** Accepts `n` runs by SQL, `ago` before now, each with a time of its own. @returns their ids, the oldest first */
async function enqueue(queued: Queued): Promise<string[]> {
  const { workspace = A, n = 1, priority = 2, ago = '0 s', key = null, limit = 1 } = queued;
  const { rows } = await db.pool.query<{ id: string }>(
    `with r as (insert into run (id, workspace, definition, plan, priority, created, created_by, ckey, climit)
        select (substr(uuid7_floor(clock_timestamp())::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, $1, 'd', '\\x00', $2, clock_timestamp() - $3::interval + g * interval '1 ms', 'key:x', replace($4, '#', g::text), $5 from generate_series(1, $6::int) g
        returning id, created)
      select id from r order by created`,
    [workspace, priority, ago, key, limit, n],
  );
  const ids = rows.map((row) => row.id);
  await db.pool.query(
    `insert into run_state (run, workspace, status, total, open, last_seq) select r, $2, 'queued', 1, 1, 1 from unnest($1::uuid[]) r`,
    [ids, workspace],
  );
  return ids;
}

/** What a tick of admission does: one lock, what may start, and its beginning. @returns the runs, in order */
async function tick(n: number, on: Pick<pg.Pool, 'query'> = db.pool): Promise<string[]> {
  const { rows } = await on.query<{ run: string }>('select run from admit_v3($1, $2, 5000, array[]::uuid[])', [randomUUID(), n]);
  return rows.map((row) => row.run);
}
const finish = (run: string) => db.pool.query(`update run_state set finished = now(), status = 'completed' where run = $1`, [run]);

test('the system workspace has its turn, alone and among others, wherever the last round ended', async () => {
  const [alone = ''] = await enqueue({ workspace: SYSTEM_WORKSPACE });
  expect(await tick(1)).toEqual([alone]);
  for (let round = 0; round < 3; round++) {
    await enqueue({ workspace: A, n: 5, ago: '1 hour' });
    await enqueue({ workspace: B, n: 5, ago: '1 hour' });
    const [own = ''] = await enqueue({ workspace: SYSTEM_WORKSPACE });
    const begun = [...(await tick(1)), ...(await tick(1)), ...(await tick(1))];
    expect(begun).toContain(own);
  }
  const { rows } = await db.pool.query('select run from admit_v3($1, 9, 5000, $2)', [randomUUID(), [A, B, SYSTEM_WORKSPACE]]);
  expect(rows).toEqual([]);
});

test('workspaces of people take turns beside runs of the system', async () => {
  await enqueue({ workspace: SYSTEM_WORKSPACE, n: 9 });
  const [a = '', b = ''] = [...(await enqueue({ workspace: A })), ...(await enqueue({ workspace: B }))];
  expect(await tick(3)).toEqual(expect.arrayContaining([a, b]));
});

test('workspaces take turns, whatever the length of their queues', async () => {
  const many = await enqueue({ workspace: A, n: 10_000, ago: '1 hour' });
  const [lone = ''] = await enqueue({ workspace: B });
  const first = await tick(4);
  expect(first).toContain(lone);
  expect(first.filter((run) => run !== lone)).toEqual(many.slice(0, 3));
  expect((await tick(1)).concat(await tick(1))).toEqual(many.slice(3, 5));
  await enqueue({ workspace: B, n: 3 });
  const turns = await Promise.all([1, 2, 3, 4].map(() => tick(1)));
  expect(turns.flat().filter((run) => !many.includes(run))).toHaveLength(2);
});

test('priority is aged by waiting: a minute makes up for one level, not a moment less', async () => {
  const [critical = ''] = await enqueue({ priority: 0, ago: '1 s' });
  const [low = ''] = await enqueue({ priority: 3, ago: '181.5 s' });
  const [later = ''] = await enqueue({ priority: 3, ago: '180.5 s' });
  const [normal = ''] = await enqueue({ priority: 2, ago: '1 s' });
  expect(await tick(10)).toEqual([low, critical, later, normal]);
});

test('of a key no more runs are open than its limit, and others pass those who wait', async () => {
  const keyed = await enqueue({ key: 'k', limit: 2, n: 3, ago: '1 min' });
  const [free = ''] = await enqueue({});
  expect(await tick(10)).toEqual([...keyed.slice(0, 2), free]);
  expect(await tick(10)).toEqual([]);
  await finish(keyed[1] ?? '');
  expect(await tick(10)).toEqual([keyed[2]]);
});

test('a limit of 1 with four workers that claim at once is never broken in 1,000 rounds', async () => {
  await enqueue({ key: 'one', n: 1_100 });
  const clients = await Promise.all(Array.from({ length: 4 }, () => db.pool.connect()));
  let most = 0;
  let begun = 0;
  for (let round = 0; round < 1_000; round++) {
    const runs = (await Promise.all(clients.map((client) => tick(4, client)))).flat();
    most = Math.max(most, runs.length);
    begun += runs.length;
    for (const run of runs) await finish(run);
  }
  for (const client of clients) client.release();
  expect({ most, begun }).toEqual({ most: 1, begun: 1_000 });
});

const analyze = () => owner.pool.query('analyze run_state');
test.each([
  ['never been looked at', () => Promise.resolve()],
  ['been empty', analyze],
  [
    'been full of runs of one workspace',
    async () => {
      await enqueue({ workspace: A, n: 1_000 });
      await analyze();
      await owner.pool.query('truncate run_state, run, run_event, task');
    },
  ],
  [
    'been full of runs that have ended',
    async () => {
      for (const run of await enqueue({ workspace: A, n: 1_000 })) await finish(run);
      await owner.pool.query('vacuum (analyze) run_state');
    },
  ],
])('a session that planned its tick while nothing was queued touches as few pages when much is: it had %s', async (_, before) => {
  await before();
  const session = await db.pool.connect();
  try {
    expect(await tick(2, session)).toEqual([]);
    await enqueue({ workspace: A, n: 10_000 });
    const [lone] = await enqueue({ workspace: B });
    const text = `explain (analyze, buffers, timing off) select * from select_runs_v2(2, array['${A}'::uuid])`;
    const { rows } = await session.query<{ 'QUERY PLAN': string }>(text);
    const [, hit = 'none'] = /shared hit=(\d+)/.exec(rows.map((row) => row['QUERY PLAN']).join(' ')) ?? [];
    expect(Number(hit)).toBeLessThan(200);
    expect((await session.query<{ run: string }>(`select run from select_runs_v2(2, array['${A}'::uuid])`)).rows).toEqual([{ run: lone }]);
    expect(await tick(2, session)).toContain(lone);
  } finally {
    session.release();
  }
});

test('with 100,000 queued runs a tick touches no more than 4,000 pages, whatever groups they are in', async () => {
  await enqueue({ workspace: A, n: 60_000 });
  await enqueue({ workspace: A, n: 20_000, key: 'hot' });
  await enqueue({ workspace: B, n: 20_000, key: 'key #' });
  await owner.pool.query('analyze run_state');
  for (let i = 0; i < 3; i++) {
    expect(await tick(16)).toHaveLength(16);
    const { rows } = await db.pool.query<{ 'QUERY PLAN': string }>(
      'explain (analyze, buffers) select * from select_runs_v2(16, array[]::uuid[])',
    );
    const pages = /shared hit=(\d+)(?: read=(\d+))?/.exec(rows.map((row) => row['QUERY PLAN']).join(' ')) ?? [];
    expect(Number(pages[1]) + Number(pages[2] ?? 0)).toBeLessThan(4_000);
  }
});
