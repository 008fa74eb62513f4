import { createHash } from 'node:crypto';
import type { Pool } from 'pg';
import { canonicalJson } from '../../src/domain/definition/canonical.ts';
import { aPlan } from '../support/anEngine.ts';

type Past = { workspace: string; runs: number; overMs: number; others?: number };

/**
 * Writes closed runs of two tasks each, evenly over a time that ends now, of the definitions `d0` to `d9`: those of `d0`
 * failed, the others completed. The last but one has 1,000 items besides. Beside them stand as many runs of each of so many
 * other workspaces: among runs of one alone the index by workspace is worth no more than the key. @returns the id of that one
 */
export async function aPast(pool: Pool, { workspace, runs, overMs, others = 0 }: Past): Promise<string> {
  const value = (n: number) => ({ type: 'transform', with: { value: n } });
  const body = canonicalJson(aPlan({ dsl: 'tiu/1', name: 'd', tasks: { a: value(1), b: value(2) } }));
  const hash = createHash('sha256').update(body).digest();
  const client = await pool.connect();
  try {
    await client.query('set statement_timeout = 0');
    await client.query('insert into plan values ($1, $2, now()) on conflict do nothing', [hash, body]);
    await client.query('create temporary table fresh (id uuid, at timestamptz, i int)');
    await client.query(
      `insert into fresh select (substr(uuid7_floor(at)::text, 1, 14) || '7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, at, i
        from (select clock_timestamp() - ($1 - i) * $2 * interval '1 ms' as at, i from generate_series(1, $1::int) i) t`,
      [runs, overMs / runs],
    );
    const run = `insert into run (id, workspace, definition, plan, priority, created, created_by) select id, $1, 'd' || i % 10, $2, 2, at, 'test' from fresh`;
    await client.query(run, [workspace, hash]);
    await client.query(OTHERS, [hash, others]);
    for (const text of ROWS) await client.query(text, [workspace]);
    await client.query('set role none'); // who may analyze: a reset gives back the role of the connection
    for (const table of ['run', 'run_state', 'task']) await client.query(`analyze ${table}`);
    const [last] = (await client.query<{ id: string }>('select id from fresh order by i desc offset 1 limit 1')).rows;
    await client.query('drop table fresh');
    return last?.id ?? '';
  } finally {
    client.release(true); // its session is not as it was
  }
}

const OTHERS = `insert into run (id, workspace, definition, plan, priority, created, created_by)
  select overlay(id::text placing '700' || w from 15)::uuid, ('00000000-0000-4000-8000-00000000000' || w)::uuid, 'd' || i % 10, $1, 2, at, 'test'
  from fresh, generate_series(1, $2::int) w`;
const END = `at + i % 100 * interval '1 ms'`;
const TASK = 'insert into task (run, task, item, generation, workspace, status, attempt, seq, started, finished)';
const ROWS = [
  `insert into run_state (run, workspace, status, total, open, last_seq, started, finished, failure)
    select id, $1, case when i % 10 = 0 then 'failed' else 'completed' end, 2, 0, 5, at, ${END}, case when i % 10 = 0 then '{"code":"http_status","message":""}'::json end from fresh`,
  `${TASK} select id, k, -1, 0, $1, 'completed', 1, 3, at, ${END} from fresh, generate_series(0, 1) k`,
  `${TASK} select id, 0, n, 0, $1, 'completed', 1, 3, at, at from (select * from fresh order by i desc offset 1 limit 1) f, generate_series(0, 999) n`,
];
