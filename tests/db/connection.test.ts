import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import net from 'node:net';
import { openConnection } from '../../src/db/connection.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let base: TestDatabase;
beforeAll(async () => {
  base = await aDatabase();
});
afterAll(() => base.drop());

test('a statement and the one behind it leave in one write, and the second one is not waited for', async () => {
  const connection = openConnection({ url: base.url, name: 'test' });
  const one = { name: 'one', text: 'select 1 as n', values: [] };
  const slow = { name: 'slow', text: 'select pg_sleep($1)', values: [0] };
  for (let i = 0; i < 2; i++) expect(await connection.rows(one, slow)).toEqual([{ n: 1 }]);
  await connection.rows(one);
  const writes = (['_write', '_writev'] as const).map((way) => jest.spyOn(net.Socket.prototype as Required<net.Socket>, way)); // each is a call of the system
  expect(await connection.rows(one, slow)).toEqual([{ n: 1 }]);
  expect(writes.reduce((sum, write) => sum + write.mock.calls.length, 0)).toBe(1);
  jest.restoreAllMocks();
  const refused = { name: 'refused', text: 'select 1 / $1::int', values: [0] };
  await expect(connection.rows(refused, one)).rejects.toThrow('division by zero');
  expect(await connection.rows(one)).toEqual([{ n: 1 }]);
  await connection.end();
});
