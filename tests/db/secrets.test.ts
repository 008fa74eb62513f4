import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { listSecrets, listUnderOtherKeys, replaceSealed, setSecret, type SealedRow } from '../../src/db/repositories/secrets.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const set = (workspace: string, name: string, sealed = 'sealed', max = 100) =>
  setSecret(db, { workspace, name, keyId: 'k1', sealed: Buffer.from(sealed), by: 'test', max, overlapMs: 0 });

test('the role of the api sees the secrets of its workspace alone', async () => {
  const [own, other] = [randomUUID(), randomUUID()];
  await set(own, 'mine');
  await set(other, 'theirs');
  const api = await base.open('tiu_api', 1);
  await api.pool.query(`select set_config('tiu.workspace', $1, false)`, [own]);
  expect((await api.pool.query<{ name: string }>('select name from secret')).rows).toEqual([{ name: 'mine' }]);
  expect((await api.pool.query('update secret set key_id = $1 where name = $2', ['k9', 'theirs'])).rowCount).toBe(0);
});

test('a value that was set meanwhile is not replaced by the one before, under whatever key', async () => {
  const workspace = randomUUID();
  await set(workspace, 'token', 'first');
  const [before] = await listUnderOtherKeys(db, { table: 'secret', workspace, keyId: 'k2', after: undefined, limit: 10 });
  if (!before) throw new Error('not found');
  await set(workspace, 'token', 'second');
  expect(await replaceSealed(db, before, { table: 'secret', keyId: 'k2', sealed: Buffer.from('first again'), by: 'test' })).toBe(false);
  expect(await listSecrets(db, { workspace, after: '', limit: 10 })).toMatchObject([{ version: 2, key_id: 'k1' }]);
});

test('secrets under other keys are listed page by page, over workspaces', async () => {
  await db.rows({ name: 'none', text: 'delete from secret', values: [] });
  const workspaces: string[] = [randomUUID(), randomUUID()].sort();
  for (const workspace of workspaces) for (const name of ['b', 'A']) await set(workspace, name);
  const seen: string[] = [];
  let after: SealedRow | undefined;
  for (;;) {
    const page = await listUnderOtherKeys(db, { table: 'secret', workspace: null, keyId: 'k2', after, limit: 1 });
    seen.push(...page.map(({ workspace, name }) => `${workspaces.indexOf(workspace)}${name}`));
    after = page.at(-1);
    if (after === undefined) break;
  }
  expect(seen).toEqual(['0A', '0b', '1A', '1b']);
  expect(await listUnderOtherKeys(db, { table: 'secret', workspace: null, keyId: 'k1', after: undefined, limit: 10 })).toEqual([]);
});
