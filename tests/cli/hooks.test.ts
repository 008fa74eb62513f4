import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from '../api/anApi.ts';
import { tiu as inProcess } from './aTerminal.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_SECRET_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` });
});
afterAll(() => api.stop());

const tiu = (args: string[], input?: string) =>
  inProcess(args, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key }, ...(input !== undefined && { input }) });

test('hooks set prints the address to post to, list shows it, delete takes it away', async () => {
  await tiu(['secret', 'set', 'signing'], Buffer.alloc(32, 5).toString('base64'));
  expect((await tiu(['hooks', 'list'])).out).toBe('no hooks\n');
  const set = await tiu(['hooks', 'set', 'pay', '--event', 'paid', '--key', '${payload.order}', '--secret', 'signing']);
  expect(set).toMatchObject({ code: 0, err: '' });
  expect(set.out).toMatch(new RegExp(`^${api.url}/api/v1/hooks/[0-9a-f-]{36}/pay\n$`));
  const { pathname } = new URL(set.out.trim());
  expect((await tiu(['hooks', 'list'])).out).toBe(`pay  paid  key \${payload.order}  standard-webhooks  secret signing  ${pathname}\n`);
  expect(JSON.parse((await tiu(['hooks', 'list', '--json'])).out)).toMatchObject([{ name: 'pay', toleranceSeconds: 300 }]);
  expect(await tiu(['hooks', 'delete', 'pay'])).toMatchObject({ code: 0, out: 'deleted pay\n' });
});

test('what is refused exits with 1 and says where, a wrong scheme with 2', async () => {
  const refused = await tiu(['hooks', 'set', 'pay', '--event', 'paid', '--secret', 'none']);
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('/secret') as unknown });
  expect((await tiu(['hooks', 'set', 'pay', '--event', 'paid', '--secret', 'signing', '--scheme', 'paypal'])).code).toBe(2);
});
