import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
let reader: string;
beforeAll(async () => {
  api = await anApi({ TIU_AUDIT_REFUSALS: '5' });
  const { key } = await createApiKey(api.deps.db, { workspace: api.owner.workspace, name: 'reader', scopes: ['runs:read'], by: 'test' });
  reader = key;
});
afterAll(() => api.stop());

type Row = {
  workspace: string;
  actor: string;
  action: string;
  subject: string;
  code: string;
  request: string;
  address: string;
  data: object | null;
};
const refused = async () => {
  await api.deps.refusals.flush();
  return api.deps.db.rows<Row>({
    name: 'refused',
    text: `select * from audit where result = 'refused' or action = 'audit.dropped' order by at, id`,
    values: [],
  });
};
let minute = Date.UTC(2026, 10, 29);
beforeEach(async () => {
  await api.deps.refusals.flush();
  const owner = await api.base.open('tiu_owner', 1);
  await owner.pool.query('delete from audit');
  minute += 60_000;
});

test('what a key may not is refused, and the audit says who, what, to what, from where and in which request', async () => {
  const id = '01890000-0000-7000-8000-000000000001';
  const answer = await api.call('POST', `/api/v1/runs/${id}/cancel`, { key: reader, body: {}, headers: { 'x-request-id': 'my-request' } });
  expect(answer.status).toBe(403);
  expect(await refused()).toMatchObject([
    {
      ...{
        workspace: api.owner.workspace,
        actor: expect.stringMatching(/^key:/),
        action: 'run.cancel',
        subject: `run:${id}`,
        code: 'forbidden',
      },
      ...{ request: 'my-request', address: '127.0.0.1', data: null },
    },
  ]);
});
