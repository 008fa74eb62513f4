import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Route } from '../../../src/api/route.ts';
import { routes } from '../../../src/api/routes.ts';
import { newKey } from '../../../src/dev/keptIn.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { aMailServer, type MailServer } from '../../support/aMailServer.ts';
import { begin } from '../aStory.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, signIn, sql } from '../auth/aPerson.ts';
import { makeSomeone, pathTo, sampleOf } from './samples.ts';

/** Every route that changes something writes it down, with the request that it was. */

let api: TestApi;
let mails: MailServer;
let owner: string;
let operator: string;
beforeAll(async () => {
  mails = await aMailServer();
  api = await anApi({
    ...{ TIU_TOKEN_KEYS: newKey(), TIU_SECRET_KEYS: newKey(), TIU_CODEC_TOKEN: 'of-this-test-alone-and-long' },
    ...{ TIU_SMTP_URL: mails.url, TIU_MAIL_FROM: 'tiu@tiu.example', TIU_PUBLIC_URL: 'https://tiu.example' },
  });
  const { engine } = api.deps;
  await sql(engine, `insert into workspace (id, name, created) values ($1, 'tiu.system', now()) on conflict do nothing`, [
    SYSTEM_WORKSPACE,
  ]);
  const tokenOf = async (workspace: string) => (await signIn(api.deps, await anAccount(engine, { [workspace]: 'owner' }))).accessToken;
  [owner, operator] = [await tokenOf(api.owner.workspace), await tokenOf(SYSTEM_WORKSPACE)];
  await makeSomeone(api);
});
afterAll(async () => {
  await api.stop();
  mails.close();
});

const named = ({ method, path }: Route) => `${method.toUpperCase()} ${path}`;
const changing = routes.filter(({ method, action }) => method !== 'get' && action !== 'public' && action !== 'self');
const ofOperators = ({ path }: Route) => path.startsWith('/api/v1/users') || path.startsWith('/api/v1/workspaces/{id}/');

/** What changes nothing, and so writes nothing. */
const UNWRITTEN: Readonly<Record<string, string>> = {
  'POST /api/v1/workflows/check': 'checks what it is sent',
  'POST /api/v1/runs/{id}/fork/preview': 'says what a fork would do',
  'POST /api/v1/schedules/check': 'says when a schedule would fire',
  'POST /api/v1/codec/decode': 'decodes what it is sent',
  'POST /api/v1/codec/encode': 'encodes what it is sent',
  'POST /api/v1/secrets/reencrypt': 'all are under the first key here; where they are not: tests/api/secrets',
};

const idOf = (target: string): string => /[0-9a-f-]{36}/.exec(target)?.[0] ?? '';
const ask = (method: string, target: string, body?: object) => api.call(method, target, { key: owner, ...(body && { body }) });
const closed = (target: string, status: 'completed' | 'failed') =>
  sql(api.deps.engine, `update run_state set epoch = 1, started = now(), finished = now(), open = 0, status = $2 where run = $1`, [
    idOf(target),
    status,
  ]);
const asked = async (target: string) => {
  const run = idOf(target);
  await begin(api.deps.engine, run);
  await sql(
    api.deps.engine,
    `insert into wait (run, task, item, generation, kind, workspace, since, data) select run, 0, -1, 0, 'approval', workspace, now(), '{}' from run_state where run = $1`,
    [run],
  );
};

/** Brings what a path names into a state in which it can be done. */
const BEFORE: Readonly<Record<string, (target: string) => Promise<unknown>>> = {
  'POST /api/v1/runs/{id}/resume': (target) => ask('POST', target.replace('resume', 'pause')),
  'POST /api/v1/tasks/{id}/resume': (target) => ask('POST', target.replace('resume', 'pause')),
  'POST /api/v1/runs/{id}/retry': (target) => closed(target, 'failed'),
  'POST /api/v1/tasks/{id}/retry': (target) => closed(target, 'failed'),
  'POST /api/v1/runs/{id}/fork': (target) => closed(target, 'completed'),
  'POST /api/v1/runs/{id}/tasks/{task}/approve': asked,
  'POST /api/v1/runs/{id}/tasks/{task}/reject': asked,
  'PUT /api/v1/hooks/{name}': () => ask('PUT', '/api/v1/secrets/signing', { value: 'of-the-hook' }),
  'DELETE /api/v1/workspace/close': async () => ask('POST', '/api/v1/workspace/close', await ownName()),
  'DELETE /api/v1/workspace/offer': async () => ask('POST', '/api/v1/workspace/offer', await somebody()),
  'POST /api/v1/users/{id}/activate': (target) =>
    sql(api.deps.engine, `update account set status = 'disabled' where id = $1`, [idOf(target)]),
};
const somebody = async () => ({ to: await anAccount(api.deps.engine, { [api.owner.workspace]: 'viewer' }) });

/** Undoes what would keep those after it from being done. */
const AFTER: Readonly<Record<string, () => Promise<unknown>>> = {
  'POST /api/v1/workspace/close': () => ask('DELETE', '/api/v1/workspace/close'),
};
async function ownName(): Promise<{ name: string }> {
  const [workspace] = await sql<{ name: string }>(api.deps.engine, 'select name from workspace where id = $1', [api.owner.workspace]);
  return { name: workspace?.name ?? '' };
}

/** Other bodies than those that are enough to find out about rights. */
const BODIES: Readonly<Record<string, (target: string) => Promise<object>>> = {
  'POST /api/v1/users/bulk': async () => ({ ids: [await anAccount(api.deps.engine)], action: 'disable' }),
  'POST /api/v1/workspace/close': () => ownName(),
  'POST /api/v1/users/{id}/erase': async (target) => {
    const [account] = await sql<{ name: string }>(api.deps.engine, 'select name from account where id = $1', [idOf(target)]);
    return { name: account?.name ?? '' };
  },
  'POST /api/v1/schedules/{id}/backfill': () => Promise.resolve({ startAt: '2020-01-01T00:00:00Z', endAt: '2022-01-01T00:00:00Z' }),
};

test.each(changing.map((route) => [named(route), route] as const))('%s', async (name, route) => {
  const requestId = randomUUID();
  const { body, raw, headers, query = '' } = sampleOf(route);
  // a task on its own has no items, and one that is mapped no output
  const target = (await pathTo(route, { api, key: api.owner.key })).replace(/\/tasks\/each\/complete$/, '/tasks/ask/complete');
  const other = await BODIES[name]?.(target);
  await BEFORE[name]?.(target);
  const answer = await api.call(route.method.toUpperCase(), target + query, {
    key: ofOperators(route) ? operator : owner,
    ...((other ?? body) && { body: other ?? body }),
    ...(raw !== undefined && { raw }),
    headers: { ...headers, 'x-request-id': requestId },
  });
  await AFTER[name]?.();
  const rows = await sql<{ actor: string; address: string }>(
    api.deps.engine,
    `select actor, address from audit where request = $1 and result = 'done'`,
    [requestId],
  );
  if (name in UNWRITTEN) {
    expect(rows).toEqual([]);
    return;
  }
  expect({ status: answer.status, text: answer.status < 300 ? '' : answer.text }).toEqual({ status: answer.status, text: '' });
  expect(rows.find(({ actor }) => actor.startsWith('user:'))).toMatchObject({ address: '127.0.0.1' });
});

test('what is said to change nothing is there', () => {
  for (const name of Object.keys(UNWRITTEN)) expect(changing.map(named)).toContain(name);
});
