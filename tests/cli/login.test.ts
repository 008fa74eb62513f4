import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { runCli } from '../../src/cli/runCli.ts';
import { endSessions } from '../../src/db/sessions.ts';
import { anApi, type TestApi } from '../api/anApi.ts';
import { aPerson } from '../api/aPerson.ts';
import { sql, TOKEN_KEYS } from '../api/auth/aPerson.ts';
import { tiu as inProcess } from './aTerminal.ts';

/** Access tokens have so little time that each command renews them; a refresh token used twice ends its session at once. */
const SHORT = { TIU_ACCESS_TOKEN_TTL: '29000', TIU_REFRESH_GRACE: '0' };

let api: TestApi;
let n = 0;
let home: string;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, ...SHORT });
});
beforeEach(() => {
  n += 1;
  home = path.join(api.folder, `home${n}`);
});
afterAll(() => api.stop());

const file = () => path.join(home, '.config/tiu/credentials.json');
const kept = () =>
  JSON.parse(fs.readFileSync(file(), 'utf8')) as { servers: Record<string, { type: string; refreshToken?: string; expiresAt: number }> };
const env = () => ({ HOME: home, TIU_URL: api.url });
const tiu = (
  args: string[],
  more: { input?: string; pause?: (ms: number) => Promise<void>; signal?: AbortSignal; env?: Record<string, string> } = {},
) => inProcess(args, { cwd: api.folder, ...more, env: { ...env(), ...more.env } });
const decide = async (word: 'approve' | 'deny', key: string) => {
  // the code stands in no table: a person reads it from the terminal
  const answer = await api.call('POST', `/api/v1/auth/device/${shown}/${word}`, { key });
  expect(answer.status).toBe(204);
};
let shown = '';
/** Signs in; a person decides while the command waits. */
async function login(word: 'approve' | 'deny', key: string) {
  const result = { out: '', err: '' };
  const waits: number[] = [];
  const code = await runCli(['login', '--name', 'my laptop'], {
    out: (line) => (result.out += line),
    err: (line) => {
      result.err += line;
      shown = /code ([A-Z]{4}-[A-Z]{4})/.exec(line)?.[1] ?? shown;
    },
    read: () => Promise.resolve(''),
    pause: async (ms) => {
      waits.push(ms);
      if (waits.length === 2) await decide(word, key);
      // no test waits for the pauses of a person: the service forgets how recently it was asked
      await sql(api.deps.db, `update device_grant set polled = polled - interval '1 hour'`);
    },
    live: false,
    env: env(),
    cwd: api.folder,
    signal: new AbortController().signal,
  });
  return { code, ...result, waits };
}

test('login shows a code, waits for somebody to confirm it, says who has signed in, and keeps it for nobody else to read', async () => {
  const person = await aPerson(api, { role: 'developer' });
  const { code, out, err, waits } = await login('approve', person.key);
  expect({ code, waits }).toEqual({ code: 0, waits: [5_000, 5_000] });
  expect(err).toContain(`/device and type the code ${shown}\n`);
  expect(out).toBe(`${person.name} at ${api.url}\nworkspace own as developer\n`);
  expect(await sql(api.deps.db, `select device from session where account = $1 and method = 'device'`, [person.account])).toEqual([
    { device: 'my laptop' },
  ]);
  expect([fs.statSync(file()).mode & 0o777, fs.statSync(path.dirname(file())).mode & 0o777]).toEqual([0o600, 0o700]);
  expect(fs.readdirSync(path.dirname(file()))).toEqual(['credentials.json']);
  expect((await tiu(['whoami'])).out).toMatch(new RegExp(`^${person.name} at .*\nworkspace own as developer\nmay: .*run\\.start`));
  expect(JSON.parse((await tiu(['whoami', '--json'])).out)).toMatchObject({
    kind: 'person',
    person: { id: person.account },
    role: 'developer',
  });
  // the address that was signed in to last is known without being named
  expect((await inProcess(['runs'], { env: { HOME: home }, cwd: api.folder })).code).toBe(0);
});

test('who is refused is not signed in, and nothing is kept', async () => {
  const { code, err } = await login('deny', (await aPerson(api)).key);
  expect({ code, kept: fs.existsSync(file()) }).toEqual({ code: 1, kept: false });
  expect(err).toContain('(access_denied)');
});

test('login is interrupted, and says so', async () => {
  const stop = new AbortController();
  const { code, err } = await tiu(['login'], {
    signal: stop.signal,
    pause: () => {
      stop.abort();
      return Promise.reject(new DOMException('', 'AbortError'));
    },
  });
  expect([code, err.split('\n').at(-2), fs.existsSync(file())]).toEqual([1, 'tiu: not signed in: interrupted', false]);
});

test('login --key keeps a key that the service takes, and no other; it is printed nowhere', async () => {
  const { code, out, err } = await tiu(['login', '--key'], { input: `${api.owner.key}\n` });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^key \S+ at .*\nworkspace own\n$/);
  expect((await tiu(['runs'])).code).toBe(0);
  const wrong = `${api.owner.key.slice(0, -4)}AAAA`;
  const refused = await tiu(['login', '--key'], { input: wrong });
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('unauthenticated') as unknown });
  expect((await tiu(['login', '--key'], { input: 'a secret of something else' })).err).not.toContain('secret of');
  expect((await tiu(['login', '--key'], { input: '' })).code).toBe(2);
  expect(`${out}${refused.err}`).not.toContain(api.owner.key.slice(-12));
  expect((await tiu(['runs'])).code).toBe(0); // the former one is still there
  expect((await tiu(['logout'])).out).toBe(`signed out of ${api.url}\n`);
  expect((await api.call('GET', '/api/v1/runs')).status).toBe(200); // a key is only forgotten
  expect(await tiu(['runs'])).toMatchObject({ code: 2, err: expect.stringContaining('tiu login') as unknown });
});

test('an option and TIU_TOKEN win over what is kept, and what is kept goes to its own address alone', async () => {
  await tiu(['login', '--key'], { input: api.owner.key });
  const who = async (args: string[], more: Record<string, string> = {}) =>
    (JSON.parse((await tiu([...args, 'whoami', '--json'], { env: more })).out) as { workspace: { name: string } }).workspace.name;
  expect(await who([])).toBe('own');
  expect(await who([], { TIU_TOKEN: api.stranger.key })).toBe('other');
  expect(await who(['--token', api.owner.key], { TIU_TOKEN: api.stranger.key })).toBe('own');
  expect(await tiu(['--url', 'http://127.0.0.1:9', 'runs'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('no key for') as unknown,
  });
});

test('logout ends the session at the service and forgets it, also one that is over', async () => {
  const person = await aPerson(api);
  const open = async () =>
    (await sql(api.deps.db, `select 1 from session where account = $1 and method = 'device' and ended is null`, [person.account])).length;
  await login('approve', person.key);
  expect(await open()).toBe(1);
  expect(await tiu(['logout'])).toMatchObject({ code: 0, out: `signed out of ${api.url}\n` });
  expect([await open(), kept().servers]).toEqual([0, {}]);
  expect((await tiu(['logout'])).out).toBe(`not signed in at ${api.url}\n`);
  await login('approve', person.key);
  await endSessions(api.deps.db, { account: person.account, reason: 'ended', by: 'test' });
  expect((await tiu(['logout'])).code).toBe(0);
  expect(kept().servers).toEqual({});
});

test('a session that is over says so once, and is forgotten', async () => {
  const person = await aPerson(api);
  await login('approve', person.key);
  await endSessions(api.deps.db, { account: person.account, reason: 'ended', by: 'test' });
  expect(await tiu(['runs'])).toMatchObject({
    code: 1,
    err: `tiu: the session at ${api.url} is over\nSign in again with \`tiu login\`.\n`,
  });
  expect(await tiu(['runs'])).toMatchObject({ code: 2, err: expect.stringContaining('no key for') as unknown });
});

const asProcess = async () => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/cli/main.ts', 'whoami'], {
    env: { PATH: process.env.PATH, ...env() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number]>]);
  return { code, out, err };
};

test('processes that renew at once do not use one refresh token twice, also when one has left its lock behind', async () => {
  const person = await aPerson(api);
  await login('approve', person.key);
  const dead = spawn(process.execPath, ['-e', '']);
  await once(dead, 'exit');
  fs.writeFileSync(`${file()}.lock`, `${dead.pid ?? 0}`);
  const all = await Promise.all([...Array.from({ length: 5 }, asProcess), ...Array.from({ length: 5 }, () => tiu(['whoami']))]);
  for (const result of all) expect(result).toMatchObject({ code: 0, err: '' });
  expect(await sql(api.deps.db, `select 1 from audit where action = 'session.refresh_reused'`)).toEqual([]);
  expect(fs.readdirSync(path.dirname(file()))).toEqual(['credentials.json']);
  expect((await tiu(['whoami'])).code).toBe(0);
});

test('a file that was written by hand and is none is as good as none', async () => {
  fs.mkdirSync(path.dirname(file()), { recursive: true });
  fs.writeFileSync(file(), '{');
  expect((await tiu(['whoami'])).code).toBe(2);
  expect((await tiu(['login', '--key'], { input: api.owner.key })).code).toBe(0);
  expect((await tiu(['whoami'])).code).toBe(0);
});
