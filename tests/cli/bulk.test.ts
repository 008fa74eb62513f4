import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from '../api/anApi.ts';
import { tiu as inProcess } from './aTerminal.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_MAX_BULK_COUNT: '2' });
  const definition = { dsl: 'tiu/1', name: 'one', tasks: { only: { type: 'transform', with: { value: 1 } } } };
  for (const team of ['a', 'b', 'b', 'b'])
    await api.call('POST', '/api/v1/runs', { body: { definition, labels: { team } }, headers: { 'idempotency-key': crypto.randomUUID() } });
});
afterAll(() => api.stop());

const tiu = (...args: string[]) => inProcess(args, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key } });

test('bulk counts the runs until it is told --yes, then makes a job, which is shown, listed and ended', async () => {
  expect(await tiu('bulk', 'cancel', '--label', 'team:a', '--status', 'queued')).toMatchObject({
    code: 0,
    out: '1 run; --yes gives it the command\n',
  });
  expect((await tiu('bulk', 'pause', '--label', 'team:b', '--preview', '--yes')).out).toBe(
    'more than 2 runs; --yes gives them the command\n',
  );
  expect((await tiu('bulk', 'list')).out).toBe('');
  const { out } = await tiu(
    'bulk',
    'cancel',
    '--status',
    'queued',
    '--status',
    'running',
    '--workflow',
    'one',
    '--reason',
    'over',
    '--yes',
  );
  expect(out).toMatch(/^\S{36} {2}running {4}cancel {2}\S+Z {2}0 of more than 2: 0 applied\n$/);
  const id = out.slice(0, 36);
  expect((await tiu('bulk', 'show', id)).out).toBe(out);
  expect((await tiu('bulk', 'abort', id)).out).toBe(out.replace('running', 'aborted'));
  expect((await tiu('bulk', 'list')).out).toBe(out.replace('running', 'aborted'));
  expect(await tiu('bulk', 'abort', id)).toMatchObject({ code: 1, err: expect.stringContaining('state_conflict') as unknown });
});

test('a filter that names nothing is refused, and force goes with cancel alone', async () => {
  expect(await tiu('bulk', 'retry', '--yes')).toMatchObject({ code: 1, err: expect.stringContaining('/filter') as unknown });
  expect(await tiu('bulk', 'pause', '--force')).toMatchObject({ code: 2 });
});
