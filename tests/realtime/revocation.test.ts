import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Socket } from 'socket.io-client';
import type { OrmDatabase } from '../../src/db/database.ts';
import { openTokens, type Tokens } from '../../src/providers/tokens/tokens.ts';
import { readConfig, type Config } from '../../src/runtime/config.ts';
import { anAccount, grant, signIn, sql, TOKEN_KEYS } from '../api/auth/aPerson.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aSocket, ask } from './aSubscriber.ts';

const ROUNDS = 200;
const AT_ONCE = 4;
/** Without a notice each round would take what is left of ten seconds. */
const LIMIT_MS = 120_000;

let stack: TestStack;
let deps: { config: Config; db: OrmDatabase; tokens: Tokens; clock: () => number };
beforeAll(async () => {
  stack = await aStack({
    apis: 2,
    workers: 0,
    env: { TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_MAX_EVENT_LOOP_DELAY: '60000', TIU_MAX_SESSIONS: '1000' },
  });
  const config = readConfig({ DATABASE_URL: stack.base.url, TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_MAX_SESSIONS: '1000' });
  const clock = () => Date.now();
  deps = { config, clock, db: await stack.base.open(), tokens: await openTokens(config, clock) };
});
afterAll(() => stack.stop());

const member = async (role = 'viewer') => {
  const account = await anAccount(deps.db, { [stack.workspace]: role });
  return { account, ...(await signIn(deps, account)) };
};
const post = (index: number, path: string, { token, body }: { token?: string; body?: object }) =>
  fetch(`${stack.urls[index % 2] ?? ''}/api/v1/auth/${path}`, {
    method: 'POST',
    headers: { ...(body && { 'content-type': 'application/json' }), ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    ...(body && { body: JSON.stringify(body) }),
  });
const me = async (index: number, token: string) =>
  (await fetch(`${stack.urls[index] ?? ''}/api/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } })).status;
/** Several at once, spread over both processes. */
const refreshes = async (refreshToken: string) => {
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => post(index, 'refresh', { body: { refreshToken } })));
  return Promise.all(answers.map(async (answer) => ({ status: answer.status, ...((await answer.json()) as { refreshToken?: string }) })));
};
const disable = (account: string) => sql(deps.db, `update account set status = 'disabled' where id = $1`, [account]);

async function connected(index: number, token: string): Promise<{ socket: Socket; closed: Promise<unknown> }> {
  const socket = aSocket(stack.urls[index] ?? '', token);
  const emitter = socket as unknown as NodeJS.EventEmitter;
  const told = once(emitter, 'closed');
  const gone = once(emitter, 'disconnect');
  await once(emitter, 'connect');
  return { socket, closed: Promise.all([told, gone]).then(([[problem]]) => problem as unknown) };
}

test(`a refresh token that ${AT_ONCE} use at once has one successor, in ${ROUNDS} of ${ROUNDS} rounds`, async () => {
  const { sessionId, refreshToken } = await member();
  let token = refreshToken;
  for (let round = 0; round < ROUNDS; round++) {
    const answers = await refreshes(token);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const next = new Set(answers.map((answer) => answer.refreshToken ?? ''));
    expect(next.size).toBe(1);
    token = [...next][0] ?? '';
  }
  const [kept] = await sql(deps.db, 'select count(*)::int as n, count(used)::int as used from refresh_token where session = $1', [
    sessionId,
  ]);
  expect(kept).toEqual({ n: ROUNDS + 1, used: ROUNDS });
}, 300_000);

test(`one that is used again later ends its session, once, whatever else comes at once, in ${ROUNDS} of ${ROUNDS} rounds`, async () => {
  const account = await anAccount(deps.db);
  for (let round = 0; round < ROUNDS; round++) {
    const { sessionId, refreshToken } = await signIn(deps, account);
    const { refreshToken: next } = (await (await post(round, 'refresh', { body: { refreshToken } })).json()) as { refreshToken: string };
    await sql(deps.db, `update refresh_token set used = used - interval '11 s' where session = $1 and used is not null`, [sessionId]);
    const [again] = await Promise.all([refreshes(refreshToken), refreshes(next)]);
    expect(again.map(({ status }) => status)).toEqual(again.map(() => 401));
    const [session] = await sql(deps.db, 'select end_reason from session where id = $1', [sessionId]);
    expect(session).toEqual({ end_reason: 'refresh_reuse' });
  }
  const [audit] = await sql(deps.db, `select count(*)::int as n from audit where action = 'session.refresh_reused' and actor = $1`, [
    `user:${account}`,
  ]);
  expect(audit).toEqual({ n: ROUNDS });
}, 300_000);

test('a ticket opens one socket, however many want to use it', async () => {
  const { accessToken } = await member();
  for (let round = 0; round < ROUNDS; round++) {
    const { ticket } = (await (await post(round, 'socket-ticket', { token: accessToken })).json()) as { ticket: string };
    const sockets = Array.from(
      { length: AT_ONCE },
      (_, index) => aSocket(stack.urls[index % 2] ?? '', ticket) as Socket & NodeJS.EventEmitter,
    );
    const came = await Promise.all(
      sockets.map((socket) =>
        Promise.race([
          once(socket, 'connect').then(() => 'in'),
          once(socket, 'connect_error').then(([error]) => (error as { data: { code: string } }).data.code),
        ]),
      ),
    );
    for (const socket of sockets) socket.disconnect();
    expect(came.sort()).toEqual(['in', ...Array.from({ length: AT_ONCE - 1 }, () => 'unauthenticated')]);
  }
});

test(
  'who is disabled loses every socket in every process, and is told why',
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { account, accessToken } = await member();
      const { ticket } = (await (await post(round, 'socket-ticket', { token: accessToken })).json()) as { ticket: string };
      const other = await member();
      const open = [await connected(0, accessToken), await connected(1, ticket)];
      const stays = await connected(round % 2, other.accessToken);
      await disable(account);
      for (const { closed } of open) expect(await closed).toMatchObject({ code: 'unauthenticated', status: 401 });
      expect(await ask(stays.socket, 'subscribe', { topic: `workspace:${stack.workspace}` })).toMatchObject({ ok: true });
      stays.socket.disconnect();
    }
  },
  LIMIT_MS,
);

test('a role that gives less closes sockets, one that gives more does not', async () => {
  const { account, accessToken } = await member('viewer');
  const { socket, closed } = await connected(0, accessToken);
  await grant(deps.db, { account, workspace: stack.workspace, role: 'developer' });
  expect(await ask(socket, 'subscribe', { topic: `workspace:${stack.workspace}` })).toMatchObject({ ok: true });
  const later = await connected(1, accessToken);
  await grant(deps.db, { account, workspace: stack.workspace, role: 'viewer' });
  for (const problem of await Promise.all([closed, later.closed])) expect(problem).toMatchObject({ code: 'forbidden' });
});

const asOwner = async (index: number, method: string, [path, body]: [string, object?]) => {
  const headers = { authorization: `Bearer ${stack.key}`, ...(body && { 'content-type': 'application/json' }) };
  const answer = await fetch(`${stack.urls[index] ?? ''}/api/v1${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? {} : ((await answer.json()) as Record<string, string>);
};

/** What somebody goes by, and how an owner takes it from them; then what they are told. */
const CAUSES: readonly { what: string; code: string; take: () => Promise<{ token: string; away: (index: number) => Promise<unknown> }> }[] =
  [
    {
      what: 'a role that is lowered',
      code: 'forbidden',
      take: async () => {
        const { account, accessToken: token } = await member('developer');
        return { token, away: (index) => asOwner(index, 'PATCH', [`/members/${account}`, { role: 'viewer' }]) };
      },
    },
    {
      what: 'a membership that is ended',
      code: 'forbidden',
      take: async () => {
        const { account, accessToken: token } = await member('developer');
        return { token, away: (index) => asOwner(index, 'DELETE', [`/members/${account}`]) };
      },
    },
    {
      what: 'a key that is revoked',
      code: 'unauthenticated',
      take: async () => {
        const { id = '', key: token = '' } = await asOwner(0, 'POST', ['/api-keys', { name: 'k', scopes: ['runs:read'] }]);
        return { token, away: (index) => asOwner(index, 'DELETE', [`/api-keys/${id}`]) };
      },
    },
  ];

// without a notice each round would take what is left of the ten seconds after which all are looked at: the time of the test would be over
test.each(CAUSES)(
  `$what ends what is followed in the other process, in ${ROUNDS} of ${ROUNDS} rounds`,
  async ({ code, take }) => {
    const runId = randomUUIDv7();
    const definition = { dsl: 'tiu/1', name: 'followed', tasks: { a: { type: 'transform', with: { value: 1 } } } };
    await asOwner(0, 'POST', ['/runs', { definition, runId }]);
    for (let round = 0; round < ROUNDS; round++) {
      const { token, away } = await take();
      const { socket, closed } = await connected(round % 2, token);
      for (const topic of [`run:${runId}`, `workspace:${stack.workspace}`])
        expect(await ask(socket, 'subscribe', { topic })).toMatchObject({ ok: true });
      await away((round + 1) % 2);
      expect(await closed).toMatchObject({ code });
      expect(socket.connected).toBe(false);
    }
  },
  LIMIT_MS,
);

test(
  `a role that is lowered while a request is being sent counts for that request, in ${ROUNDS} of ${ROUNDS} rounds`,
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { account, accessToken } = await member('developer');
      const here = stack.urls[round % 2] ?? '';
      const runId = randomUUIDv7();
      const definition = { dsl: 'tiu/1', name: 'late', tasks: { a: { type: 'transform', with: { value: 1 } } } };
      const body = JSON.stringify({ definition, runId });
      const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json', 'content-length': body.length };
      const request = http.request(`${here}/api/v1/runs`, { method: 'POST', headers });
      const answered = once(request, 'response') as Promise<[http.IncomingMessage]>;
      request.write(body.slice(0, 10)); // the rest comes when they may no longer
      await asOwner((round + 1) % 2, 'PATCH', [`/members/${account}`, { role: 'viewer' }]);
      while (await mayStart(here, accessToken));
      request.end(body.slice(10));
      const [answer] = await answered;
      answer.resume();
      expect(answer.statusCode).toBe(403);
      expect((await sql(deps.db, 'select 1 from run where id = $1', [runId])).length).toBe(0);
    }
  },
  LIMIT_MS,
);

test('an upload is judged once more when its body has come', async () => {
  const { account, accessToken } = await member('developer');
  const here = stack.urls[0] ?? '';
  const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'text/plain', 'content-length': 20 };
  const request = http.request(`${here}/api/v1/artifacts`, { method: 'POST', headers });
  const answered = once(request, 'response') as Promise<[http.IncomingMessage]>;
  request.write('0123456789');
  await asOwner(1, 'PATCH', [`/members/${account}`, { role: 'viewer' }]);
  while (await mayStart(here, accessToken));
  request.end('0123456789');
  const [answer] = await answered;
  answer.resume();
  expect(answer.statusCode).toBe(403);
  expect(
    await sql(deps.db, 'select 1 from artifact where workspace = $1 and created_by = $2', [stack.workspace, `user:${account}`]),
  ).toEqual([]);
});

const mayStart = async (url: string, token: string): Promise<boolean> => {
  const answer = await fetch(`${url}/api/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } });
  return ((await answer.json()) as { permissions: string[] }).permissions.includes('run.start');
};

test('a session that acts elsewhere loses its sockets, and one that has ended its stream of events', async () => {
  const { account, accessToken } = await member('developer');
  const runId = randomUUIDv7();
  const definition = { dsl: 'tiu/1', name: 'waits', tasks: { a: { type: 'transform', with: { value: 1 } } } };
  const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' };
  const accepted = await fetch(`${stack.url}/api/v1/runs`, { method: 'POST', headers, body: JSON.stringify({ definition, runId }) });
  expect(accepted.status).toBe(202);
  const stream = await fetch(`${stack.urls[1] ?? ''}/api/v1/runs/${runId}/events`, {
    headers: { ...headers, accept: 'text/event-stream' },
  });
  const { closed } = await connected(1, accessToken);
  const [elsewhere] = await sql<{ id: string }>(
    deps.db,
    `insert into workspace (id, name, created) values ($1, 'elsewhere', now()) returning id`,
    [randomUUIDv7()],
  );
  await grant(deps.db, { account, workspace: elsewhere?.id ?? '', role: 'viewer' });
  expect((await post(0, 'switch', { token: accessToken, body: { workspace: elsewhere?.id } })).status).toBe(200);
  expect(await closed).toMatchObject({ code: 'forbidden' });
  expect(await stream.text()).toContain('run.accepted'); // it ends although the run has not
});

test(
  'requests are refused by both processes once somebody is disabled, and never let in again',
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { account, accessToken } = await member();
      const asked = [0, 1].map(async (index) => {
        const statuses = [await me(index, accessToken)];
        while (statuses.at(-1) === 200) statuses.push(await me(index, accessToken));
        for (let more = 0; more < 3; more++) statuses.push(await me(index, accessToken));
        return statuses;
      });
      await disable(account);
      for (const statuses of await Promise.all(asked)) expect(statuses.slice(-4)).toEqual([401, 401, 401, 401]);
    }
  },
  LIMIT_MS,
);
