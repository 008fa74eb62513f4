import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCommand } from '../../../src/activities/kinds/command.ts';
import { matchesSchema } from '../../../src/domain/definition/jsonSchema.schema.ts';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { command as contract } from '../../../src/domain/kinds/command.ts';
import { Problem } from '../../../src/domain/problem.ts';
import { readAllowList, readVisible } from '../../../src/providers/command/allowList.ts';
import { probeConfinement, type ConfinementLimits } from '../../../src/providers/command/confinement.ts';
import { createPrograms, type ProgramSettings } from '../../../src/providers/command/programs.ts';
import { superviseProcess } from '../../../src/providers/command/superviseProcess.ts';
import { aProblem } from '../../providers/aProblem.ts';
import { until } from '../../support/until.ts';
import { anExecution } from './anExecution.ts';

const MEMORY = 64 * 2 ** 20;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-test-'));
const settings: ProgramSettings = {
  allowed: readAllowList(`sh=/bin/sh, cat=/bin/cat, dd=/bin/dd, node=${process.execPath}, missing=/nonexistent/program, folder=/tmp`),
  ...{ visible: [{ path: folder, writable: true }], memoryBytes: MEMORY, keepBytes: 1_000, maxBytes: 10_000, graceMs: 300 },
};
let limits: ConfinementLimits;
beforeAll(async () => {
  ({ limits } = await probeConfinement(MEMORY, []));
});
afterAll(() => {
  fs.rmSync(folder, { recursive: true });
});

type Output = { exitCode: number; stdout: string; stderr: string; truncated: boolean; limits: ConfinementLimits };
async function run(input: JsonObject, given: Partial<ProgramSettings> & { signal?: AbortSignal } = {}): Promise<Output> {
  const { signal = new AbortController().signal, ...more } = given;
  const executor = createCommand({ programs: createPrograms({ ...settings, ...more }), maxCommands: 10 });
  const output = await executor(input, anExecution({ key: 'run/task/-/0', signal }));
  expect(matchesSchema(contract.output, output)).toEqual([]);
  return output as Output;
}
const shell = (script: string, given: Parameters<typeof run>[1] & { input?: JsonObject } = {}): Promise<Output> => {
  const { input = {}, ...more } = given;
  return run({ program: 'sh', args: ['-c', script], ...input }, more);
};

/** What a script has written into a file of ours, once it is there. */
async function written(name: string): Promise<string> {
  const file = path.join(folder, name);
  await until(() => fs.existsSync(file) && fs.readFileSync(file, 'utf8').endsWith('\n'));
  return fs.readFileSync(file, 'utf8').trim();
}
/** A number of seconds that no other sleeper has. */
const nap = (n: number): string => `${1_000 + n}.${process.pid}`;
/** Living processes whose command line holds this text. Their numbers differ from those that they know themselves. */
const living = (mark: string): string[] =>
  fs.readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark);
    } catch {
      return false; // it has just ended
    }
  });

test('outputs and exit code; arguments and input as they are, no shell in between', async () => {
  await expect(run({ program: 'cat', args: ['-'], stdin: 'grüße $HOME\n' })).resolves.toEqual({
    ...{ exitCode: 0, stdout: 'grüße $HOME\n', stderr: '', truncated: false, limits },
  });
  await expect(run({ program: 'cat', args: ['$(id); *', '--'] })).rejects.toThrow(
    aProblem('command_failed', { data: expect.objectContaining({ stderr: expect.stringContaining('$(id); *') }) }),
  );
});

test('the environment is PATH, the key and what is given', async () => {
  const { stdout } = await shell('env | sort', { input: { env: { GIVEN: 'x y' } } });
  expect(stdout.split('\n').filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=|^$/.test(line))).toEqual([
    'GIVEN=x y',
    'PATH=/usr/local/bin:/usr/bin:/bin',
    'TIU_EFFECT_KEY=run/task/-/0',
  ]);
  await expect(shell('true', { input: { env: { LD_PRELOAD: '/tmp/x.so' } } })).rejects.toThrow(aProblem('invalid_task_input'));
});

test("a PATH that is given is the program's, and decides nothing before it", async () => {
  fs.writeFileSync(path.join(folder, 'prlimit'), `#!/bin/sh\necho stolen\n`, { mode: 0o755 });
  const { stdout } = await shell('echo $PATH', { input: { env: { PATH: folder } } });
  expect(stdout).toBe(`${folder}\n`);
});

/** Of others as well: a worker that is killed leaves its own. */
const folders = () => fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('tiu-command-'));

test('its folder is its own and empty, and gone afterwards, whatever became of it', async () => {
  const before = new Set(folders());
  const { stdout } = await shell('ls -A | wc -l; touch file; mkdir sub; pwd');
  const [files = '', first = ''] = stdout.trim().split('\n');
  expect([files.trim(), fs.existsSync(first)]).toEqual(['0', false]);
  const failure = await shell('touch file; pwd; exit 3').catch((error: unknown) => error as Problem);
  const data = (failure as Problem).data as { stdout: string };
  expect(data.stdout.trim()).toMatch(limits.files === 'own' ? /^\/workdir$/ : /tiu-command-/);
  expect(fs.existsSync(data.stdout.trim())).toBe(false);
  expect(folders().filter((name) => !before.has(name))).toEqual([]);
});

test('it sees its folder, itself and what programs need to run, and changes none of that; else the output says so', async () => {
  const secret = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-hidden-')), 'secret');
  fs.writeFileSync(secret, 'hidden');
  const script = `cat ${secret} ${path.resolve('package.json')} /etc/shadow /.old/etc/passwd; ls /root /home /var; touch /usr/x /etc/passwd /new; echo kept > /tmp/t; cat /tmp/t; ls -A / | tr '\\n' ' '`;
  const { stdout, stderr, limits: told } = await shell(script, { input: { expectExit: [0, 1, 2] }, visible: [], keepBytes: 5_000 });
  fs.rmSync(path.dirname(secret), { recursive: true });
  expect(told.files).toBe(limits.files);
  if (limits.files === 'not_enforced') {
    expect(stdout).toContain('hidden');
    return;
  }
  expect(stdout).toMatch(/^kept\n/);
  const seen = new Set(['.old', 'bin', 'dev', 'etc', 'lib', 'lib32', 'lib64', 'libx32', 'proc', 'sbin', 'tmp', 'usr', 'workdir']);
  expect(
    stdout
      .slice('kept\n'.length)
      .trim()
      .split(' ')
      .filter((name) => !seen.has(name)),
  ).toEqual([]);
  expect(stderr.split('\n').filter((line) => /No such file|Read-only/.test(line))).toHaveLength(10);
  expect(fs.existsSync('/new')).toBe(false);
});

test('what the operator shows is seen, and written where it says so', async () => {
  const shown = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-shown-'));
  fs.writeFileSync(path.join(shown, 'file'), 'shown');
  const visible = readVisible(`${shown}, ${folder}:rw`);
  expect(visible).toEqual([{ path: shown, writable: false }, { path: folder, writable: true }]); // prettier-ignore
  const script = `cat ${shown}/file; echo more > ${folder}/written; echo less > ${shown}/file`;
  await shell(script, { visible, input: { expectExit: [0, 1, 2] } });
  expect(fs.readFileSync(path.join(folder, 'written'), 'utf8')).toBe('more\n');
  if (limits.files === 'own') expect(fs.readFileSync(path.join(shown, 'file'), 'utf8')).toBe('shown');
  fs.rmSync(shown, { recursive: true });
});

test.each(['relative/path', '/', '/tmp/..', ':rw'])('paths that cannot be shown are refused at start: %s', (entry) => {
  expect(() => readVisible(`/opt/tools,${entry}`)).toThrow('TIU_COMMAND_PATHS');
  expect(readVisible('')).toEqual([]);
});

test('a program that lies elsewhere is seen with its own file alone', async () => {
  const { stdout } = await run(
    { program: 'node', args: ['-p', `fs.readdirSync(path.dirname(process.execPath)).length`] },
    { memoryBytes: 8 * 2 ** 30 },
  );
  if (limits.files === 'own') expect(stdout).toBe('1\n');
});

test('an exit code that is not expected is a failure with the ends of both outputs', async () => {
  await expect(shell('echo out; echo err >&2; exit 3')).rejects.toThrow(
    aProblem('command_failed', { retryable: true, data: { exitCode: 3, signal: null, stdout: 'out\n', stderr: 'err\n', limits } }),
  );
  await expect(shell('exit 3', { input: { expectExit: [0, 3] } })).resolves.toMatchObject({ exitCode: 3 });
  await expect(shell('exit 0', { input: { expectExit: [3] } })).rejects.toThrow(aProblem('command_failed'));
});

test('off by default, and only what is allowed; no path, no other name', async () => {
  const off = readAllowList('');
  await expect(run({ program: 'sh' }, { allowed: off })).rejects.toThrow(aProblem('command_not_allowed', { retryable: false }));
  for (const program of ['bash', '/bin/sh', '../sh', '__proto__'])
    await expect(run({ program })).rejects.toThrow(aProblem('command_not_allowed'));
  for (const program of ['missing', 'folder'])
    await expect(run({ program })).rejects.toThrow(aProblem('command_not_started', { retryable: false }));
});

test('an allow-list that cannot be read is refused at start', () => {
  for (const text of ['sh', 'sh=bin/sh', '=/bin/sh', 'a b=/bin/sh', 'sh=/bin/sh,sh=/bin/dash'])
    expect(() => readAllowList(text)).toThrow('TIU_COMMANDS');
  expect(readAllowList(' git=/usr/bin/git ,\n jq=/opt/with space/jq')).toEqual(
    new Map([
      ['git', '/usr/bin/git'],
      ['jq', '/opt/with space/jq'],
    ]),
  );
});

test.each<[number, boolean]>([
  [1_000, false],
  [1_001, true],
])('of %i bytes of output all is kept, or the first 1000', async (bytes, truncated) => {
  const output = await run({ program: 'dd', args: ['if=/dev/zero', 'bs=1', `count=${bytes}`, 'status=none'] });
  expect([output.stdout.length, output.truncated]).toEqual([1_000, truncated]);
});

test('a character that the limit cuts in two is left out', async () => {
  const { stdout, truncated } = await run({ program: 'cat', stdin: `a${'ü'.repeat(500)}` });
  expect([stdout, truncated]).toEqual([`a${'ü'.repeat(499)}`, true]);
});

test('both outputs together may be as long as the limit; a byte more ends everything', async () => {
  const write = (bytes: number) => `dd if=/dev/zero bs=${bytes} count=1 status=none`;
  await expect(shell(`${write(5_000)}; ${write(5_000)} >&2`)).resolves.toMatchObject({ truncated: true });
  const endless = shell(`${write(5_000)}; ${write(5_001)} >&2; exec sleep ${nap(1)}`);
  await expect(endless).rejects.toThrow(aProblem('command_output_too_large', { retryable: false, data: { max: 10_000 } }));
  expect(living(nap(1))).toEqual([]);
});

test('memory is what the limit allows, and no more', async () => {
  expect(limits.memory).toBe(MEMORY); // a machine without prlimit cannot say anything about this
  const take = (bytes: number) => run({ program: 'dd', args: ['if=/dev/zero', 'of=/dev/null', `bs=${bytes}`, 'count=1'] });
  await expect(take(MEMORY / 2)).resolves.toMatchObject({ exitCode: 0, limits: { memory: MEMORY } });
  await expect(take(MEMORY)).rejects.toThrow(
    aProblem('command_failed', { data: expect.objectContaining({ stderr: expect.stringMatching(/memory/i) }) }),
  );
});

test('there is no network where the kernel can take it away; else the output says so', async () => {
  const server = http.createServer((_request, response) => response.end('reached'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const script = `fetch('http://127.0.0.1:${port}').then(r => r.text()).then(console.log, () => console.log('no network'))`;
  const output = await run({ program: 'node', args: ['-e', script] }, { memoryBytes: 2 ** 40 });
  expect(output.stdout).toBe(output.limits.network === 'none' ? 'no network\n' : 'reached\n');
  server.close();
});

test('an abort asks everything to end, and ends what does not, grandchildren too', async () => {
  const attempt = new AbortController();
  const script = `trap 'echo asked > ${folder}/asked' TERM; (trap '' TERM; sleep ${nap(2)}) & echo up > ${folder}/up; while :; do sleep ${nap(3)}; done`;
  const ended = expect(shell(script, { signal: attempt.signal })).rejects.toThrow(aProblem('task_cancelled'));
  await written('up');
  expect(living(nap(2))).not.toEqual([]);
  attempt.abort(new Problem('task_cancelled'));
  await ended;
  expect(await written('asked')).toBe('asked');
  expect([...living(nap(2)), ...living(nap(3))]).toEqual([]);
});

test('an attempt whose signal has come already starts nothing', async () => {
  await expect(shell(`touch ${folder}/started`, { signal: AbortSignal.abort(new Problem('task_timed_out')) })).rejects.toThrow(
    aProblem('task_timed_out'),
  );
  expect(fs.existsSync(path.join(folder, 'started'))).toBe(false);
});

test('so many at once as may be; who waits for a place and is aborted begins nothing, and others do', async () => {
  const executor = createCommand({ programs: createPrograms(settings), maxCommands: 1 });
  const start = (script: string, signal = new AbortController().signal) =>
    executor({ program: 'sh', args: ['-c', script] }, anExecution({ signal }));
  const attempt = new AbortController();
  const first = start(`echo up > ${folder}/first; while [ ! -e ${folder}/go ]; do :; done; echo first >> ${folder}/order`);
  await written('first');
  const waiting = expect(start(`echo waiting >> ${folder}/order`, attempt.signal)).rejects.toThrow(aProblem('task_cancelled'));
  const last = start(`echo last >> ${folder}/order`);
  attempt.abort(new Problem('task_cancelled'));
  await waiting;
  fs.writeFileSync(path.join(folder, 'go'), '');
  await Promise.all([first, last]);
  expect(await written('order')).toBe('first\nlast');
});

test('arguments that are too long for the system are the fault of the task', async () => {
  const args = Array.from({ length: 40 }, () => 'x'.repeat(100_000));
  await expect(run({ program: 'cat', args })).rejects.toThrow(aProblem('invalid_task_input'));
});

test.each<[string, Json, Json]>([
  ['args', Array.from({ length: 1_000 }, () => ''), Array.from({ length: 1_001 }, () => '')],
  ['args', ['x'.repeat(100_000)], ['x'.repeat(100_001)]],
  ['args', ['a\nb'], ['a\0b']],
  ['env', { A_1: 'x'.repeat(100_000) }, { A_1: 'x'.repeat(100_001) }],
  ['env', { _a: 'b' }, { 'a=b': 'c' }],
  [
    'env',
    Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`A${i}`, ''])),
    Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`A${i}`, ''])),
  ],
  ['expectExit', [0, 255], [256]],
])('what %s may hold, and what is too much', (field, taken, refused) => {
  const schema = contract.with[field]?.schema ?? false;
  expect([matchesSchema(schema, taken).length, matchesSchema(schema, refused).length > 0]).toEqual([0, true]);
});

test('what it leaves in the background ends with it, and is not waited for', async () => {
  await expect(shell(`sleep ${nap(4)} & echo done`)).resolves.toMatchObject({ stdout: 'done\n' });
  expect(living(nap(4))).toEqual([]);
});

test('a daemon that leaves the group ends too, where the kernel can hold it', async () => {
  await shell(`setsid sleep ${nap(5)} & while ! pgrep -f "sleep ${nap(5).replace('.', '[.]')}" > /dev/null; do :; done`);
  const left = living(`sleep\0${nap(5)}`);
  if (limits.processes === 'namespace') expect(left).toEqual([]);
  for (const pid of left) process.kill(Number(pid), 'SIGKILL');
});

test('without namespaces the process group holds what an abort ends, and what is left in the background', async () => {
  const attempt = new AbortController();
  const script = `trap '' TERM; (trap '' TERM; sleep ${nap(6)}) & echo up > ${folder}/bare; wait; wait`;
  const bare = { folder, stdin: '', env: {}, signal: attempt.signal };
  const left = await superviseProcess({ ...bare, argv: ['/bin/sh', '-c', `sleep ${nap(8)} & echo done`] }, settings);
  expect(left).toEqual({ exitCode: 0, killedBy: null, stdout: 'done\n', stderr: '', truncated: false });
  await until(() => living(nap(8)).length === 0);
  const start = { ...bare, argv: ['/bin/sh', '-c', script] };
  const ended = expect(superviseProcess(start, settings)).rejects.toThrow(aProblem('task_timed_out'));
  await written('bare');
  attempt.abort(new Problem('task_timed_out'));
  await ended;
  await until(() => living(nap(6)).length === 0);
});

test('a program ends with a worker that is killed', async () => {
  const source = path.resolve(import.meta.dirname, '../../../src/providers/command/programs.ts');
  const script = `
    const { createPrograms } = await import(${JSON.stringify(source)});
    const programs = createPrograms({ allowed: new Map([['sh', '/bin/sh']]), visible: [{ path: ${JSON.stringify(folder)}, writable: true }], memoryBytes: ${MEMORY}, keepBytes: 1, maxBytes: 1, graceMs: 1 });
    const args = ['-c', 'echo up > ${folder}/orphan; exec sleep ${nap(7)}'];
    await programs.run({ program: 'sh', args, stdin: '', env: {}, signal: new AbortController().signal });`;
  const worker = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, TMPDIR: folder },
  });
  await written('orphan');
  worker.kill('SIGKILL');
  await once(worker, 'exit');
  await until(() => living(`sleep\0${nap(7)}`).length === 0);
});
