import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { issueTicket } from '../../../src/api/auth/socketTickets.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, signIn, TOKEN_KEYS } from './aPerson.ts';
import { badTokens, forge, genuine, type Genuine } from './badTokens.ts';

let api: TestApi;
let good: Genuine;
let others: [string, string][];
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS });
  const opened = await signIn(api.deps, await anAccount(api.deps.db, { [api.owner.workspace]: 'owner' }));
  good = genuine(opened.accessToken, Buffer.alloc(32, 7), api.deps.tokens.jwks().keys[0] as Record<string, unknown>);
  others = [
    ['its own refresh token', opened.refreshToken],
    ['its own socket ticket', await issueTicket(api.deps, opened.sessionId)],
  ];
});
afterAll(() => api.stop());

/** Byte by byte, as no client that checks its headers would send it. */
async function ask(authorization: string): Promise<{ status: number | undefined; body: string; headers: object }> {
  const sent = request(`${api.url}/api/v1/auth/me`, { headers: { authorization: Buffer.from(authorization).toString('latin1') } }).end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const headers = { ...answer.headers, 'x-request-id': '', date: '' };
  return { status: answer.statusCode, body: (await text(answer)).replace(/"requestId":"[^"]+"/, ''), headers };
}

test('what is forged here is good where nothing is changed', async () => {
  for (const token of [good.token, forge(good, {}), forge(good, { payload: { nbf: Math.floor(Date.now() / 1000) - 60 } })])
    expect(await ask(`Bearer ${token}`)).toMatchObject({ status: 200 });
});

test('120 bad tokens and more are refused, all with the same answer', async () => {
  const list = [...badTokens(good), ...others];
  expect(new Set(list.map(([, token]) => token)).size).toBe(list.length);
  expect(list.length).toBeGreaterThanOrEqual(120);
  const answer = await ask('Bearer x');
  expect(answer).toMatchObject({ status: 401, body: expect.stringContaining('"code":"unauthenticated"') });
  const wrong: string[] = [];
  for (const [what, token] of list) if (JSON.stringify(await ask(`Bearer ${token}`)) !== JSON.stringify(answer)) wrong.push(what);
  expect(wrong).toEqual([]);
});

test('so is whatever else stands in the header', async () => {
  const answer = await ask('Bearer x');
  for (const header of [
    '',
    'Basic YTpi',
    `Basic ${good.token}`,
    `DPoP ${good.token}`,
    'Bearer',
    'Bearer ',
    `Bearer ${good.token} x`,
    `bearer, Bearer ${good.token}`,
  ])
    expect(await ask(header)).toEqual(answer);
});
