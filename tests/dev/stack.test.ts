import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { until } from '../support/until.ts';
import { aStateFolder, isRunning, recordOf, start, type StartedStack } from './aStartedStack.ts';

const shell = promisify(execFile);
let state: string;
let stack: StartedStack;

beforeAll(async () => {
  state = aStateFolder();
  stack = await start(state, ['--workers', '2']);
});
afterAll(() => {
  fs.rmSync(state, { recursive: true, force: true });
});

const partsOf = (name: string) => recordOf(state).parts.filter((part) => part.name.startsWith(name));
const isServing = async () => {
  const { api } = recordOf(state);
  return fetch(`${api ?? ''}/health/ready`).then(
    (response) => response.ok,
    () => false,
  );
};

test('a stack says where it is, to its owner alone', () => {
  const { api, temporalUi, parts } = recordOf(state);
  expect(stack.printed.join('\n')).toContain(`${api ?? ''}/api/docs`);
  expect(stack.printed.join('\n')).toContain(temporalUi ?? '');
  expect(parts.map((part) => part.name).sort()).toEqual(['api', 'postgres', 'temporal', 'worker-1', 'worker-2']);
  for (const file of ['stack.json', 'owner.key', 'postgres.password', 'payload.keys', 'secret.keys', 'token.keys'])
    expect([file, fs.statSync(path.join(state, file)).mode & 0o777]).toEqual([file, 0o600]);
});

test('the three commands that a stack prints do what it says', async () => {
  const [submit = '', follow = '', cancel = ''] = stack.printed.filter((line) => line.startsWith('curl'));
  const submitted = JSON.parse((await shell('/bin/sh', ['-c', submit])).stdout) as { status: string };
  expect(['running', 'waiting']).toContain(submitted.status);
  const following = shell('/bin/sh', ['-c', follow]);
  const cancelled = JSON.parse((await shell('/bin/sh', ['-c', cancel])).stdout) as { id: string };
  expect(follow).toContain(cancelled.id);
  const events = (await following).stdout;
  expect(events).toContain('event: run.accepted');
  expect(events).toContain('event: run.cancelled');
});

test('the first start invites the owner of the installation, once', async () => {
  const { api = '' } = recordOf(state);
  const [, token = ''] = /invitation#token=(tiui_\S+)/.exec(stack.printed.join('\n')) ?? [];
  const post = (path: string, body: object, key?: string) => {
    const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) };
    return fetch(`${api}/api/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  };
  const person = { name: 'first', password: 'a bicycle under water' };
  const accepted = await post('invitations/accept', { token, ...person });
  expect(accepted.status).toBe(201);
  const { accessToken, role } = (await accepted.json()) as { accessToken: string; role: string };
  expect(role).toBe('owner');
  expect(await post('workspaces', { name: 'by-operator' }, accessToken)).toMatchObject({ status: 201 });
  expect(await post('invitations/accept', { token, ...person, name: 'second' })).toMatchObject({ status: 422 });
});

test('a second stack in the same folder is refused with the reason', async () => {
  const second = await start(state);
  expect(second.supervisor.exitCode).toBe(1);
  expect(second.printed.join('\n')).toContain(`a stack is running here already (process ${stack.supervisor.pid ?? 0})`);
  expect(await isServing()).toBe(true);
});

test.each(['api', 'worker-2', 'temporal', 'postgres'])('a %s that was killed is started again', async (name) => {
  const [before] = partsOf(name);
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until('another process', () => partsOf(name)[0]?.pid !== before?.pid);
  expect(isRunning(partsOf(name)[0]?.pid ?? 0)).toBe(true);
  await until('the api serves', isServing);
});

test('a stack that is asked to end leaves no process and no address behind', async () => {
  const { parts, ports } = recordOf(state);
  stack.supervisor.kill('SIGTERM');
  await once(stack.supervisor, 'exit');
  expect(stack.supervisor.exitCode).toBe(0);
  expect(parts.filter((part) => isRunning(part.pid))).toEqual([]);
  expect(recordOf(state)).toEqual({ ports, parts: [] });
});

test('after a kill of the supervisor nothing stays, and the next start has the same ports, key and data', async () => {
  const killed = await start(state);
  const before = recordOf(state);
  const key = fs.readFileSync(path.join(state, 'owner.key'), 'utf8');
  killed.supervisor.kill('SIGKILL');
  await until('all parts have ended', () => before.parts.every((part) => !isRunning(part.pid)));

  const next = await start(state);
  expect(next.printed.join('\n')).toContain('ready after');
  expect(next.printed.join('\n')).not.toContain('invitation#token');
  expect(recordOf(state).ports).toEqual(before.ports);
  expect(fs.readFileSync(path.join(state, 'owner.key'), 'utf8')).toBe(key);
  const runs = await fetch(`${recordOf(state).api ?? ''}/api/v1/runs`, { headers: { authorization: `Bearer ${key.trim()}` } });
  expect(((await runs.json()) as { items: { status: string }[] }).items.map((run) => run.status)).toEqual(['cancelled']);
  next.supervisor.kill('SIGINT');
  await once(next.supervisor, 'exit');
});

test('a stack that cannot start says why and leaves nothing', async () => {
  const other = aStateFolder();
  fs.mkdirSync(path.join(other, 'postgres'), { mode: 0o700 });
  fs.writeFileSync(path.join(other, 'postgres/PG_VERSION'), '9\n');
  fs.writeFileSync(path.join(other, 'postgres.password'), 'x');
  const failed = await start(other);
  expect(failed.supervisor.exitCode).toBe(1);
  expect(failed.printed.join('\n')).toMatch(/^stack: PostgreSQL ended/m);
  expect(spawnSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' }).stdout).not.toContain(other);
  fs.rmSync(other, { recursive: true, force: true });
});
