import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApiProcess, stopLeftOvers, type ApiProcess } from '../../realtime/theProcess.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, signIn, sql, TOKEN_KEYS } from '../auth/aPerson.ts';

const ROUNDS = 200;

let api: TestApi;
let processes: ApiProcess[];
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS });
  const many = { TIU_RATE_CODE: 'network=1000000/1', TIU_RATE_AUTH: 'network=1000000/1', TIU_MAX_SESSIONS: '1000' };
  const env = {
    DATABASE_URL: api.base.url,
    TIU_OBJECTS: api.folder,
    TIU_TOKEN_KEYS: TOKEN_KEYS,
    ...many,
    TIU_MAX_EVENT_LOOP_DELAY: '60000',
  };
  processes = await Promise.all([anApiProcess(env), anApiProcess(env)]);
});
afterAll(async () => {
  await stopLeftOvers();
  await api.stop();
});

const post = async (at: number, path: string, { body, key }: { body?: object; key?: string }) => {
  const answer = await fetch(`${processes[at % 2]?.url ?? ''}/api/v1/auth/device${path}`, {
    method: 'POST',
    headers: { ...(key !== undefined && { authorization: `Bearer ${key}` }), ...(body && { 'content-type': 'application/json' }) },
    body: body ? JSON.stringify(body) : null,
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, string> };
};

test(`of many who redeem a code at two api processes one wins, and of a yes and a no one counts: ${ROUNDS} rounds`, async () => {
  const account = await anAccount(api.deps.db, { [api.owner.workspace]: 'viewer' });
  const { accessToken: key } = await signIn(api.deps, account);
  let granted = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const { body } = await post(round, '', {});
    const code = `/${body.userCode ?? ''}`;
    // polls stand in the way of the decision
    const [yes, no] = await Promise.all([
      post(0, `${code}/approve`, { key }),
      round % 4 === 0 ? post(1, `${code}/deny`, { key }) : { status: 404 },
      post(1, '/token', { body: { deviceCode: body.deviceCode } }).then(({ status }) => (granted += status === 200 ? 1 : 0)),
    ]);
    expect([yes.status, no.status].sort()).toEqual([204, 404]);
    const before = granted;
    const polls = await Promise.all(Array.from({ length: 6 }, (_, n) => post(n, '/token', { body: { deviceCode: body.deviceCode } })));
    granted += polls.filter(({ status }) => status === 200).length;
    for (const { status, body: problem } of polls)
      if (status !== 200) expect(yes.status === 204 ? ['expired_token'] : ['access_denied']).toContain(problem.code);
    expect(granted - before).toBeLessThanOrEqual(1);
  }
  const [rows] = await sql<{ redeemed: number; sessions: number; approved: number }>(
    api.deps.db,
    `select (select count(redeemed)::int from device_grant) as redeemed, (select count(*)::int from device_grant where decision = 'approved') as approved,
      (select count(*)::int from session where method = 'device') as sessions`,
  );
  expect(rows).toEqual({ redeemed: granted, approved: granted, sessions: granted });
  expect(granted).toBeGreaterThanOrEqual((ROUNDS * 3) / 4);
});
