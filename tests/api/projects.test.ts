import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Socket } from 'socket.io-client';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { ask, aSocket } from '../realtime/aSubscriber.ts';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { TOKEN_KEYS } from './auth/aPerson.ts';
import { begin, close, tell } from './aStory.ts';

let api: TestApi;
let journal: Journal;
const sockets: Socket[] = [];
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_MAX_PROJECTS: '8' });
  journal = createJournal({ url: api.base.url });
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
});
afterAll(async () => {
  await journal.close();
  await api.stop();
});

const definition = { dsl: 'tiu/1', name: 'greet', tasks: { hello: { type: 'transform', with: { value: 1 } } } };
const asked = (by?: Person, body?: object) => ({
  ...(by && { key: by.key }),
  headers: { 'idempotency-key': randomUUID() },
  ...(body && { body }),
});
const make = (name: string, by?: Person) => api.call('POST', '/api/v1/projects', asked(by, { name }));
const start = (project?: string, by?: Person) => api.call('POST', '/api/v1/runs', asked(by, { definition, project }));
const share = (project: string, whom: Person, role: string, by?: Person) =>
  api.call('PUT', `/api/v1/projects/${project}/members/${whom.account}`, { ...(by && { key: by.key }), body: { role } });
const idOf = ({ body }: { body: unknown }) => (body as { id: string }).id;

test('a project is made by who may, once under a name, and so many of them', async () => {
  const manager = await aPerson(api, { role: 'project_manager' });
  expect(await make('alpha', await aPerson(api))).toMatchObject({ status: 403 });
  const made = await make('alpha', manager);
  expect(made).toMatchObject({ status: 201, body: { name: 'alpha', title: null, archivedAt: null, createdBy: manager.principal } });
  expect(await api.call('GET', made.headers.get('location') ?? '')).toMatchObject({ status: 200, body: { id: idOf(made) } });
  expect(await make('alpha')).toMatchObject({ status: 409, body: { code: 'project_exists' } });
  expect(await api.call('GET', '/api/v1/projects/alpha', { key: api.stranger.key })).toMatchObject({ status: 404 });
  for (const name of ['Alpha', '1', 'a'.repeat(64), '']) expect(await make(name)).toMatchObject({ status: 422 });
  expect(await api.call('PATCH', '/api/v1/projects/alpha', { body: { title: 'The first' } })).toMatchObject({
    body: { title: 'The first' },
  });
  await make('beta');
  const first = (await api.call('GET', '/api/v1/projects?limit=1')).body as { items: object[]; nextCursor: string };
  expect(first.items).toMatchObject([{ name: 'alpha' }]);
  expect((await api.call('GET', `/api/v1/projects?cursor=${first.nextCursor}`)).body).toMatchObject({
    items: [{ name: 'beta' }],
    nextCursor: null,
  });
  expect(await api.call('PATCH', '/api/v1/projects/beta', { body: { name: 'alpha' } })).toMatchObject({ status: 409 });
  expect(await api.call('PATCH', '/api/v1/projects/beta', { body: { name: 'gamma' } })).toMatchObject({
    status: 200,
    body: { name: 'gamma' },
  });
});

test('a run is in a project by its name, shows it, and is found by it', async () => {
  const project = idOf(await make('shown'));
  const run = await start('shown');
  expect(run).toMatchObject({ status: 202, body: { projectId: project } });
  expect((await api.call('GET', `/api/v1/runs/${idOf(run)}`)).body).toMatchObject({ projectId: project });
  const other = await start();
  expect(other.body).toMatchObject({ projectId: null });
  const found = async (query: string) =>
    ((await api.call('GET', `/api/v1/runs?${query}`)).body as { items: { id: string }[] }).items.map(({ id }) => id);
  expect(await found('project=shown')).toEqual([idOf(run)]);
  expect(await found('project=nothing')).toEqual([]);
  await api.call('PATCH', '/api/v1/projects/shown', { body: { name: 'renamed' } });
  expect(await found('project=renamed')).toEqual([idOf(run)]);
  const bulk = { filter: { project: 'renamed' }, command: { type: 'pause' } };
  expect(await api.call('POST', '/api/v1/runs/bulk', asked(undefined, { ...bulk, preview: true }))).toMatchObject({ body: { count: 1 } });
  expect(await api.call('POST', '/api/v1/runs/bulk', asked(undefined, bulk))).toMatchObject({
    status: 202,
    body: { filter: { project: 'renamed' } },
  });
  await begin(api.deps.db, idOf(run));
  await tell(journal, idOf(run), { task: 0, output: '1' });
  await close(journal, idOf(run), { status: 'completed' });
  const [closed] = await api.deps.db.rows<{ run: { project: string; owner: string } }>({
    name: 'closed',
    text: 'select closed_runs_v1($1) as run',
    values: [[idOf(run)]],
  });
  expect(closed?.run).toMatchObject({ project, owner: expect.stringMatching(/^key:/) as unknown });
  const fork = await api.call('POST', `/api/v1/runs/${idOf(run)}/fork`, asked(undefined, {}));
  expect(fork).toMatchObject({ status: 202, body: { projectId: project } });
});

test('tasks and stored workflows start in a project too', async () => {
  const project = idOf(await make('tasks'));
  const task = { name: 'one', type: 'transform', with: { value: 1 }, project: 'tasks' };
  expect(await api.call('POST', '/api/v1/tasks', asked(undefined, task))).toMatchObject({ status: 202, body: { projectId: project } });
  await api.call('POST', '/api/v1/workflows', asked(undefined, { definition }));
  const run = await api.call('POST', '/api/v1/workflows/greet/execute', asked(undefined, { project: 'tasks' }));
  expect(run).toMatchObject({ status: 202, body: { projectId: project } });
});

test('a role in a project lets somebody start and steer there, and nowhere else', async () => {
  const [viewer, manager] = [await aPerson(api, { role: 'viewer' }), await aPerson(api, { role: 'project_manager' })];
  await make('mine');
  await make('not-mine');
  expect(await start('mine', viewer)).toMatchObject({ status: 403 });
  expect(await share('mine', viewer, 'developer', manager)).toMatchObject({
    status: 200,
    body: { role: 'developer', grantedBy: manager.principal },
  });
  const run = await start('mine', viewer);
  expect(run.status).toBe(202);
  for (const project of [undefined, 'not-mine']) expect(await start(project, viewer)).toMatchObject({ status: 403 });
  const batch = await api.call(
    'POST',
    '/api/v1/runs/batch',
    asked(viewer, { runs: ['mine', 'not-mine', 'nothing', undefined].map((project) => ({ definition, project })) }),
  );
  expect((batch.body as { results: { status: number }[] }).results.map(({ status }) => status)).toEqual([202, 403, 404, 403]);
  const tasks = await api.call(
    'POST',
    '/api/v1/tasks/batch',
    asked(viewer, { tasks: ['mine', 'not-mine'].map((project) => ({ name: 't', type: 'transform', with: { value: 1 }, project })) }),
  );
  expect((tasks.body as { results: { status: number }[] }).results.map(({ status }) => status)).toEqual([202, 403]);
  expect(await api.call('POST', `/api/v1/runs/${idOf(run)}/cancel`, asked(viewer))).toMatchObject({ status: 202 });
  expect(await api.call('POST', `/api/v1/runs/${idOf(await start('not-mine'))}/cancel`, asked(viewer))).toMatchObject({ status: 403 });
  expect(await api.call('DELETE', `/api/v1/projects/mine/members/${viewer.account}`, { key: viewer.key })).toMatchObject({ status: 403 });
  expect(await api.call('DELETE', `/api/v1/projects/mine/members/${viewer.account}`, { key: manager.key })).toMatchObject({ status: 204 });
  expect(await start('mine', viewer)).toMatchObject({ status: 403 });
  expect(await api.call('DELETE', `/api/v1/projects/mine/members/${viewer.account}`)).toMatchObject({ status: 404 });
});

test('a project is shared by who manages it, with members of its workspace, and never beyond what they have', async () => {
  const [viewer, lead] = [await aPerson(api, { role: 'viewer' }), await aPerson(api, { role: 'viewer' })];
  const outsider = await aPerson(api, { workspace: api.stranger.workspace });
  expect(await share('mine', outsider, 'viewer')).toMatchObject({ status: 404 });
  expect(await share('mine', viewer, 'nobody')).toMatchObject({ status: 422, body: { code: 'unknown_role' } });
  await share('mine', lead, 'project_manager');
  expect(await share('mine', viewer, 'admin', lead)).toMatchObject({ status: 403 });
  expect(await share('mine', viewer, 'project_manager', lead)).toMatchObject({ status: 200 });
  expect(await share('not-mine', viewer, 'viewer', lead)).toMatchObject({ status: 403 });
  await share('mine', viewer, 'admin');
  expect(await share('mine', viewer, 'viewer', lead)).toMatchObject({
    status: 403,
    body: { detail: 'The member has rights that you have not' },
  });
  expect((await api.call('GET', '/api/v1/projects/mine/members')).body).toMatchObject({
    items: [{ account: viewer.account, role: 'admin' }, { account: lead.account }],
  });
  await api.call('DELETE', `/api/v1/members/${viewer.account}`);
  expect((await api.call('GET', '/api/v1/projects/mine/members')).body).toMatchObject({ items: [{ account: lead.account }] });
});

test('nothing starts in an archived project, what is in it stays', async () => {
  const run = idOf(await start('not-mine'));
  expect(await api.call('PATCH', '/api/v1/projects/not-mine', { body: { archived: true } })).toMatchObject({
    status: 200,
    body: { archivedAt: expect.any(String) as unknown },
  });
  expect(await start('not-mine')).toMatchObject({ status: 409, body: { code: 'project_archived' } });
  expect(await api.call('GET', `/api/v1/runs/${run}`)).toMatchObject({ status: 200 });
  expect((await api.call('GET', '/api/v1/projects?archived=true')).body).toMatchObject({ items: [{ name: 'not-mine' }] });
  await api.call('PATCH', '/api/v1/projects/not-mine', { body: { archived: false } });
  expect(await start('not-mine')).toMatchObject({ status: 202 });
});

test('there are as many projects as there may be', async () => {
  const { items } = (await api.call('GET', '/api/v1/projects')).body as { items: object[] };
  for (let n = items.length; n < 8; n++) expect(await make(`more-${n}`)).toMatchObject({ status: 201 });
  expect(await make('one-more')).toMatchObject({ status: 409, body: { code: 'quota_exceeded' } });
});

test('the topic of a project is a snapshot of its runs, then their latest states, and nothing of others', async () => {
  const project = (await api.call('GET', '/api/v1/projects/mine')).body as { id: string };
  const topic = `project:${project.id}`;
  const stranger = aSocket(api.url, api.stranger.key);
  const socket = aSocket(api.url, api.owner.key);
  sockets.push(stranger, socket);
  expect(await ask(stranger, 'subscribe', { topic })).toMatchObject({ ok: false, problem: { code: 'not_found' } });
  type Told = { topic: string; type: string; runId?: string; data: { runs?: { projectId: string }[]; status?: string } };
  const told: Told[] = [];
  let changed = (): void => undefined;
  socket.on('event', (event: Told) => {
    told.push(event);
    changed();
  });
  const until = (found: (event: Told) => boolean) =>
    new Promise<void>((resolve) => {
      changed = () => {
        if (told.some(found)) resolve();
      };
      changed();
    });
  expect(await ask(socket, 'subscribe', { topic })).toEqual({ ok: true, seq: 0 });
  await until((event) => event.type === 'project.snapshot');
  const runs = told[0]?.data.runs ?? [];
  expect(runs.length).toBeGreaterThan(1);
  expect(new Set(runs.map(({ projectId }) => projectId))).toEqual(new Set([project.id]));
  const outside = idOf(await start('not-mine'));
  const inside = idOf(await start('mine'));
  await until((event) => event.runId === inside && event.topic === topic);
  expect(told.some(({ runId }) => runId === outside)).toBe(false);
  const left = once(socket as unknown as NodeJS.EventEmitter, 'disconnect');
  socket.disconnect();
  await left;
});
