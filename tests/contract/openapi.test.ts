import fs from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from '@jest/globals';
import { openapi } from '../../src/api/openapi.ts';
import { routes } from '../../src/api/routes.ts';
import { ACTIONS, ALL_ACTIONS } from '../../src/domain/access/actions.ts';
import { RATE_CLASSES } from '../../src/domain/rate/rateClasses.ts';

const document = openapi(routes);

test('the document is valid OpenAPI 3.1', async () => {
  const result = await new Validator().validate({ ...document });
  expect(result).toMatchObject({ valid: true });
});

test('docs/openapi.json is the document of this code', () => {
  expect(JSON.parse(fs.readFileSync('docs/openapi.json', 'utf8'))).toEqual(JSON.parse(JSON.stringify(document)));
});

test('every route declares what its caller must be allowed to do', () => {
  for (const route of routes) expect(['public', 'self'].includes(route.action) || route.action in ACTIONS).toBe(true);
  // whoever signs in is nobody yet
  const open = routes.filter((route) => route.action === 'public' && !route.path.startsWith('/api/v1/auth/')).map((route) => route.path);
  // The signature of a delivery is its right. The codec's take their token from the path: a browser's UI can send no header of ours.
  const codec = ['/api/v1/codec/{token}/decode', '/api/v1/codec/{token}/encode'];
  expect(open).toEqual([
    '/api/v1/hooks/{id}/{name}',
    '/.well-known/jwks.json',
    // its token is its right
    '/api/v1/invitations/accept',
    ...codec,
    '/health/live',
    '/health/ready',
    '/api/openapi.json',
    '/api/docs',
    '/api/docs/{file}',
    ...['/invitation', '/reset-password', '/verify-email', '/confirm-email', '/device', '/pages/{file}'],
  ]);
});

test('every route declares what its requests are counted as', () => {
  for (const route of routes) expect([...Object.keys(RATE_CLASSES), 'none']).toContain(route.cost);
  const free = routes.filter((route) => route.cost === 'none').map((route) => route.path);
  expect(free).toEqual(['/health/live', '/health/ready', '/health', '/metrics']);
  // nobody has signed in yet: what is counted is the network alone, and by a class that has a limit for it
  for (const route of routes.filter(({ action, cost }) => action === 'public' && cost !== 'none'))
    expect(['delivery', 'public', 'auth', 'login', 'code', 'reset']).toContain(route.cost);
});

test('every action is used by a route', () => {
  const used = new Set(routes.map((route) => route.action));
  for (const action of ALL_ACTIONS) expect(used).toContain(action);
});

test('every operation has an id of its own, a summary and a success', () => {
  const operations = Object.values(document.paths ?? {}).flatMap(
    (path) => Object.values(path) as { operationId: string; summary: string; responses: object }[],
  );
  expect(new Set(operations.map((operation) => operation.operationId)).size).toBe(routes.length);
  for (const operation of operations) expect(Object.keys(operation.responses).some((status) => /^2|303/.test(status))).toBe(true);
});

test('every POST that creates or acts keeps an idempotency key or repeats harmlessly', () => {
  const without = routes.filter((route) => route.method === 'post' && route.idempotency === undefined).map((route) => route.path);
  const pure = [
    '/api/v1/workflows/check',
    '/api/v1/schedules/check',
    '/api/v1/runs/{id}/fork/preview',
    ...routes.map(({ path }) => path).filter((path) => path.includes('/codec/')),
  ];
  const setsWhatIsSet = [
    '/api/v1/schedules/{id}/pause',
    '/api/v1/schedules/{id}/unpause',
    '/api/v1/artifacts',
    '/api/v1/secrets/reencrypt',
    '/api/v1/users/me/export', // the one under way is the answer
    '/api/v1/users/me/erase', // who has asked is nobody then
    '/api/v1/users/{id}/erase',
    '/api/v1/workspace/close', // since when it is closing is the answer
  ];
  const hasItsOwnId = ['/api/v1/hooks/{id}/{name}', '/api/v1/invitations/accept', '/api/v1/invitations/join'];
  // what is about signing in answers tokens, which are stored nowhere, or takes what is good once
  const rest = without.filter((path) => !path.startsWith('/api/v1/auth/'));
  expect(new Set(rest)).toEqual(new Set([...pure, ...setsWhatIsSet, ...hasItsOwnId]));
});
