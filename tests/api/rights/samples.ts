import { randomUUID } from 'node:crypto';
import type { Route } from '../../../src/api/route.ts';
import type { TestApi } from '../anApi.ts';
import { QUOTA_NAMES } from '../../../src/domain/quota/quotas.ts';
import { anAccount } from '../auth/aPerson.ts';

/** What a request to a route holds besides its path; made for each request, so that none repeats another. */
type Sample = { body?: object; raw?: string; headers?: Record<string, string>; query?: string };

const definition = {
  dsl: 'tiu/1',
  name: 'rights',
  tasks: {
    ask: { type: 'approval', with: { message: 'Go on?' } },
    each: { type: 'http', with: { url: 'http://127.0.0.1:9' }, map: { items: [0, 1], as: 'i' } },
  },
};
const task = () => ({ name: 'one', type: 'transform', with: { value: 1 } });
const fresh = (prefix: string) => `${prefix}-${randomUUID().slice(0, 8)}`;
const keyed = () => ({ 'idempotency-key': randomUUID() });
const schedule = () => ({ name: fresh('s'), workflow: { name: 'rights' }, spec: { cron: '0 0 1 1 *' }, paused: true });
const now = () => new Date().toISOString();

/** Bodies of the routes that want one. A route that wants one and is not here fails the test. */
const SAMPLES: { readonly [route: string]: () => Sample } = {
  'post /api/v1/workflows/check': () => ({ body: { definition } }),
  'post /api/v1/workflows': () => ({ body: { definition } }),
  'post /api/v1/runs': () => ({ body: { definition }, headers: keyed() }),
  'post /api/v1/workflows/{name}/execute': () => ({ body: {}, headers: keyed() }),
  'post /api/v1/runs/batch': () => ({ body: { runs: [{ definition }] }, headers: keyed() }),
  'post /api/v1/runs/{id}/tasks/{task}/complete': () => ({ body: { output: 1 } }),
  'post /api/v1/runs/{id}/tasks/{task}/items/{item}/complete': () => ({ body: { output: 1 } }),
  'post /api/v1/events': () => ({ body: { name: 'paid' }, headers: keyed() }),
  'put /api/v1/hooks/{name}': () => ({ body: { event: { name: 'paid' }, secret: 'signing', scheme: 'github' } }),
  'post /api/v1/runs/{id}/fork': () => ({ body: { from: ['ask'] }, headers: keyed() }),
  'post /api/v1/runs/{id}/fork/preview': () => ({ body: { from: ['ask'] } }),
  'post /api/v1/runs/bulk': () => ({ body: { filter: { workflow: 'none' }, command: { type: 'cancel' } } }),
  'post /api/v1/tasks': () => ({ body: task(), headers: keyed() }),
  'post /api/v1/tasks/batch': () => ({ body: { tasks: [task()] }, headers: keyed() }),
  'post /api/v1/schedules': () => ({ body: schedule() }),
  'patch /api/v1/schedules/{id}': () => ({ body: { priority: 'high' } }),
  'post /api/v1/schedules/check': () => ({ body: { spec: { cron: '0 0 1 1 *' } } }),
  'post /api/v1/schedules/{id}/backfill': () => ({ body: { startAt: now(), endAt: now() } }),
  'patch /api/v1/members/{account}': () => ({ body: { role: 'developer' } }),
  'put /api/v1/roles/{name}': () => ({ body: { actions: ['run.read'] } }),
  'post /api/v1/invitations': () => ({ body: { role: 'viewer' } }),
  'post /api/v1/projects': () => ({ body: { name: fresh('p') } }),
  'patch /api/v1/projects/{project}': () => ({ body: { title: 't' } }),
  'put /api/v1/projects/{project}/members/{account}': () => ({ body: { role: 'developer' } }),
  'patch /api/v1/workspace': () => ({ body: { name: fresh('w') } }),
  'post /api/v1/workspace/close': () => ({ body: { name: 'another' } }),
  'post /api/v1/workspace/offer': () => ({ body: { to: someone } }),
  'put /api/v1/workspaces/{id}/quotas/{name}': () => ({ body: { max: null } }),
  'post /api/v1/users/bulk': () => ({ body: { ids: [randomUUID()], action: 'disable' } }),
  'post /api/v1/users': () => ({ body: { name: 'nobody', email: 'nobody@example.test' } }),
  'patch /api/v1/users/{id}': () => ({ body: { bio: 'b' } }),
  'post /api/v1/users/{id}/email': () => ({ body: { email: `${fresh('moved')}@example.test` } }),
  'post /api/v1/users/{id}/erase': () => ({ body: { name: 'nobody' } }),
  'post /api/v1/artifacts': () => ({ raw: fresh('bytes'), headers: { 'content-type': 'text/plain' } }),
  'post /api/v1/api-keys': () => ({ body: { name: 'k', scopes: ['runs:read'] } }),
  'put /api/v1/secrets/{name}': () => ({ body: { value: fresh('value') } }),
  'post /api/v1/codec/decode': () => ({ body: { payloads: [] } }),
  'post /api/v1/codec/encode': () => ({ body: { payloads: [] } }),
};

/** A viewer of the workspace, whom nobody misses. */
let someone = '';
export async function makeSomeone(api: TestApi): Promise<void> {
  someone = await anAccount(api.deps.engine, { [api.owner.workspace]: 'viewer' });
}

/** @throws Error when the route needs a body and nobody has said which */
export function sampleOf(route: Route): Sample {
  const name = `${route.method} ${route.path}`;
  const sample = SAMPLES[name]?.();
  if (sample) return sample;
  if (route.action === 'self') return route.request?.body ? { body: {} } : {};
  const { body } = route.request ?? {};
  if (route.request?.upload || (body && !body.schema.safeParse(undefined).success))
    throw new Error(`tests/api/rights/samples.ts has no body for ${name}`);
  return {};
}

type Maker = (api: TestApi, key: string) => Promise<string>;

const made = async (api: TestApi, key: string, [method, path, body]: [string, string, object]): Promise<Record<string, unknown>> => {
  const answer = await api.call(method, `/api/v1${path}`, { key, body, headers: keyed() });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.body as Record<string, unknown>;
};

const run: Maker = async (api, key) => (await made(api, key, ['POST', '/runs', { definition }])).id as string;
const secret: Maker = async (api, key) => {
  const name = fresh('secret').replaceAll('-', '_');
  await made(api, key, ['PUT', `/secrets/${name}`, { value: fresh('value') }]);
  return name;
};

/** Makes the object that a path names, in the workspace of a key, and gives the values of the path's parameters. The first that begins the path counts. */
const MAKERS: readonly [path: string, parameters: readonly string[], make: Maker][] = [
  ['/api/v1/workflows/{name}', ['name'], async (api, key) => (await made(api, key, ['POST', '/workflows', { definition }])).name as string],
  ['/api/v1/runs/{id}', ['id'], run],
  ['/api/v1/tasks/{id}', ['id'], async (api, key) => (await made(api, key, ['POST', '/tasks', task()])).id as string],
  [
    '/api/v1/hooks/{name}',
    ['name'],
    async (api, key) => {
      const [name, named] = [fresh('hook'), await secret(api, key)];
      await made(api, key, ['PUT', `/hooks/${name}`, { event: { name: 'paid' }, secret: named, scheme: 'github' }]);
      return name;
    },
  ],
  [
    '/api/v1/bulk/{id}',
    ['id'],
    async (api, key) => {
      const { id } = await made(api, key, ['POST', '/runs/bulk', { filter: { workflow: 'none' }, command: { type: 'cancel' } }]);
      await api.deps.db.rows({ name: '', text: `update bulk set status = 'completed'`, values: [] });
      return id as string;
    },
  ],
  ['/api/v1/schedules/{id}', ['id'], async (api, key) => (await made(api, key, ['POST', '/schedules', schedule()])).id as string],
  [
    '/api/v1/artifacts/{sha256}',
    ['sha256'],
    async (api, key) => {
      const answer = await api.call('POST', '/api/v1/artifacts', { key, raw: fresh('bytes'), headers: { 'content-type': 'text/plain' } });
      return (answer.body as { sha256: string }).sha256;
    },
  ],
  [
    '/api/v1/api-keys/{id}',
    ['id'],
    async (api, key) => (await made(api, key, ['POST', '/api-keys', { name: 'k', scopes: ['runs:read'] }])).id as string,
  ],
  ['/api/v1/secrets/{name}', ['name'], secret],
  [
    '/api/v1/roles/{name}',
    ['name'],
    async (api, key) => {
      const name = fresh('role');
      await made(api, key, ['PUT', `/roles/${name}`, { actions: ['run.read'] }]);
      return name;
    },
  ],
  [
    '/api/v1/invitations/{id}',
    ['id'],
    async (api, key) => (await made(api, key, ['POST', '/invitations', { role: 'viewer' }])).id as string,
  ],
  [
    '/api/v1/projects/{project}',
    ['project'],
    async (api, key) => {
      const name = fresh('project');
      await made(api, key, ['POST', '/projects', { name }]);
      await made(api, key, ['PUT', `/projects/${name}/members/${someone}`, { role: 'viewer' }]);
      return name;
    },
  ],
  ['/api/v1/members/{account}', ['account'], (api) => anAccount(api.deps.engine, { [api.owner.workspace]: 'viewer' })],
  ['/api/v1/users/{id}', ['id'], (api) => anAccount(api.deps.engine)],
  ['/api/v1/workspaces/{id}', ['id'], (api) => Promise.resolve(api.owner.workspace)],
  [
    '/api/v1/limits/{key}',
    ['key'],
    async (api, key) => {
      const name = fresh('key');
      await made(api, key, ['POST', '/runs', { definition: { ...definition, concurrency: { key: name, limit: 1 } } }]);
      return name;
    },
  ],
];

/** Values of parameters that name a part of an object. */
const parts = (): Record<string, string> => ({ task: 'each', item: '0', account: someone });

/** The path of a request to a route, with an object of the workspace whose key this is; `none`: one that does not exist. */
export async function pathTo(route: Route, object: { api: TestApi; key: string } | 'none'): Promise<string> {
  if (!route.path.includes('{')) return route.path;
  const [, parameters = [], make] = MAKERS.find(([path]) => route.path.startsWith(path)) ?? [];
  if (!make && object !== 'none') throw new Error(`tests/api/rights/samples.ts makes no object for ${route.path}`);
  const value = object === 'none' ? undefined : await make?.(object.api, object.key);
  const values: Record<string, string> = {
    ...parts(),
    ...(route.path.includes('/quotas/') && { name: QUOTA_NAMES[0] ?? '' }),
    ...(route.path.includes('/approve') || route.path.includes('/reject') ? { task: 'ask' } : {}),
  };
  return route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    parameters.includes(name) || object === 'none' ? (value ?? values[name] ?? missing(name)) : (values[name] ?? ''),
  );
}

const missing = (name: string): string => (name === 'sha256' ? '0'.repeat(64) : name === 'id' ? randomUUID() : fresh('none'));
