import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClaims } from '../../src/db/claims.ts';
import type { Database } from '../../src/db/database.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { someRuns } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 4);
});
afterAll(() => base.drop());

/** Claims through a database that counts. */
function counted() {
  let statements = 0;
  const claim = createClaims({
    db: {
      rows: (statement) => {
        statements++;
        return db.rows(statement);
      },
    },
  });
  return { claim, statements: () => statements };
}

const aClaim = (run: string, task: number) => ({ run, task, item: -1, generation: 0, epoch: 1, token: randomUUID() });

test('claims that arrive together go in one statement, and each is told its own', async () => {
  const [run = ''] = await someRuns(db, 1);
  const { claim, statements } = counted();
  const claims = await Promise.all(Array.from({ length: 50 }, (_, task) => claim(aClaim(run, task))));
  expect(statements()).toBe(1);
  expect(claims.every((one) => 'attempt' in one && one.attempt === 1)).toBe(true);
  expect(new Set(claims.map((one) => ('seq' in one ? one.seq : 0))).size).toBe(50);
});

test('two attempts at one task get numbers of their own, the second as a loss', async () => {
  const [run = ''] = await someRuns(db, 1);
  const { claim } = counted();
  const claims = await Promise.all([claim(aClaim(run, 3)), claim(aClaim(run, 3))]);
  expect(claims).toEqual([expect.objectContaining({ attempt: 1, losses: 0 }), expect.objectContaining({ attempt: 2, losses: 1 })]);
});

test('a run that is locked does not hold up the claims of another', async () => {
  const [held = '', free = ''] = await someRuns(db, 2);
  const { claim } = counted();
  const client = await db.pool.connect();
  await client.query('begin');
  await client.query('select 1 from run_state where run = $1 for update', [held]);
  const waiting = claim(aClaim(held, 0));
  expect(await claim(aClaim(free, 0))).toMatchObject({ attempt: 1 });
  await client.query('rollback');
  client.release();
  expect(await waiting).toMatchObject({ attempt: 1 });
});

test('a claim under an epoch that is over is stale, beside one that is not', async () => {
  const [run = ''] = await someRuns(db, 1);
  const { claim } = counted();
  const claims = await Promise.all([claim({ ...aClaim(run, 0), epoch: 99 }), claim(aClaim(run, 1))]);
  expect(claims).toEqual([{ stale: true }, expect.objectContaining({ attempt: 1 })]);
});
