import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { Problem } from '../../src/domain/problem.ts';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi();
});
afterAll(() => api.stop());

const submit = (key: string) =>
  api.call('POST', '/api/v1/runs', {
    headers: { 'idempotency-key': key },
    body: { definition: { dsl: 'tiu/1', name: 'full', tasks: { a: { type: 'transform', with: { value: 1 } } } } },
  });

test('a submit that the database has no room for is answered 503 with Retry-After, and accepted once there is room', async () => {
  const admin = new pg.Client(api.base.url);
  await admin.connect();
  await admin.query(`create function no_room() returns trigger language plpgsql as
    $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`);
  await admin.query('create trigger no_room before insert on run for each row execute function no_room()');
  const key = randomUUID();
  const refused = await submit(key);
  expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  await admin.query('drop trigger no_room on run');
  await admin.end();
  expect(await submit(key)).toMatchObject({ status: 202 });
});

test('an upload that the object store has no room for is answered 503 with Retry-After', async () => {
  const { put } = api.deps.objects;
  api.deps.objects.put = async (_, bytes) => {
    for await (const part of bytes as Readable) throw new Problem('unavailable', { detail: String((part as Buffer).length) });
    throw new Error('the body was empty');
  };
  const refused = await api.call('POST', '/api/v1/artifacts', { raw: Buffer.alloc(200_000) });
  api.deps.objects.put = put;
  expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
});
