import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { anApi, type TestApi } from '../api/anApi.ts';
import { begin, close, tell } from '../api/aStory.ts';
import { tiu as inProcess } from './aTerminal.ts';

let api: TestApi;
let journal: Journal;
let file: string;
beforeAll(async () => {
  api = await anApi();
  journal = createJournal({ url: api.base.url });
  file = path.join(api.folder, 'one.yaml');
  fs.writeFileSync(file, DEFINITION);
});
afterAll(async () => {
  await journal.close();
  await api.stop();
});

const DEFINITION = `
dsl: tiu/1
name: one
input: { schema: { type: object, properties: { source: { type: string, format: artifact }, n: { type: number } } } }
tasks:
  only: { type: transform, with: { value: "\${input.n}" } }
`;
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
const tiu = (...args: string[]) => inProcess(args, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key }, cwd: api.folder });
const idIn = (text: string): string => UUID.exec(text)?.[0] ?? '';

/** Plays the worker for the newest run. */
async function play(ending: 'completed' | 'failed'): Promise<string> {
  const find = async () => ((await api.call('GET', '/api/v1/runs?status=queued')).body as { items: { id: string }[] }).items[0]?.id;
  let run = await find();
  while (run === undefined) run = await find();
  await begin(api.deps.db, run);
  const failure = JSON.stringify({ code: 'assertion_failed', message: 'no' });
  await tell(journal, run, ending === 'completed' ? { output: '7' } : { status: 'failed', failure });
  await close(journal, run, ending === 'completed' ? { status: ending, output: '7' } : { status: ending, failure });
  return run;
}

test('run --watch shows the events as lines, then the output, and exits with 0', async () => {
  const [result, run] = await Promise.all([tiu('run', file, '--input', 'n=7', '--watch'), play('completed')]);
  expect(result).toMatchObject({ code: 0, err: '' });
  const lines = result.out.trimEnd().split('\n');
  expect(lines[0]).toBe(`run ${run}`);
  expect(lines.slice(1, 4).map((line) => line.trim().replace(/^\S+ \S+\s+/, ''))).toEqual([
    'run accepted',
    'only completed  (1/1, 99 %)',
    'run completed',
  ]);
  expect(lines.slice(-2)).toEqual([expect.stringMatching(/^completed in \d/), '7']);
});

test('a run that fails exits with 1 and says why', async () => {
  const [result] = await Promise.all([tiu('run', file, '--wait', '20'), play('failed')]);
  expect(result).toMatchObject({ code: 1, err: '' });
  expect(result.out).toMatch(/failed in .*: assertion_failed, no/);
});

test('run --json prints the run and nothing else', async () => {
  const [result, run] = await Promise.all([tiu('run', file, '--wait', '20', '--json'), play('completed')]);
  expect(JSON.parse(result.out)).toMatchObject({ id: run, status: 'completed' });
});

test('run alone says how to follow it', async () => {
  const { code, out } = await tiu('run', file);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining(`tiu watch ${idIn(out)}`) as unknown });
  await play('completed');
});

test('input that does not match the schema is told with its place, and exits with 1', async () => {
  expect(await tiu('run', file, '--input', 'n=text')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/invalid_run_input.*\n\/n /) as unknown,
  });
});

test('a folder where an artifact is wanted is packed and uploaded', async () => {
  const folder = path.join(api.folder, 'src');
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'a.ts'), 'export {};');
  const [first, second] = [await tiu('run', file, '--input', `source=${folder}`), await tiu('run', file, '--input', `source=${folder}`)];
  const sha = (text: string) => /^source: 1 file of .+, 1 KiB, as ([0-9a-f]{12})$/m.exec(text)?.[1];
  expect(sha(first.out)).toBeDefined();
  expect(sha(second.out)).toBe(sha(first.out));
  for (const { out } of [first, second]) expect((await tiu('cancel', idIn(out))).code).toBe(0);
  const empty = path.join(api.folder, 'empty');
  fs.mkdirSync(empty);
  expect(await tiu('run', file, '--input', `source=${empty}`)).toMatchObject({
    code: 2,
    err: expect.stringContaining('no files') as unknown,
  });
});

test('runs lists what is there, by status', async () => {
  const { out } = await tiu('runs', '--status', 'failed');
  expect(out).toMatch(/^\S+ {2}failed .* one {2}assertion_failed\n$/);
  const { out: json } = await tiu('runs', '--json', '--limit', '1');
  expect(JSON.parse(json)).toHaveLength(1);
});

test('events prints the log from a number on, watch follows it and exits as the run ended', async () => {
  const run = idIn((await tiu('runs', '--status', 'failed')).out);
  const { out } = await tiu('events', run);
  expect(out.split('\n').map((line) => line.trim().split(/\s+/)[2])).toEqual(['run.accepted', 'task.failed', 'run.failed', undefined]);
  const { out: json } = await tiu('events', run, '--after', '2', '--json');
  expect(JSON.parse(json)).toMatchObject({ seq: 3, type: 'run.failed' });
  const { out: followed } = await tiu('events', run, '--follow', '--after', '1', '--json');
  expect(followed.trimEnd().split('\n')).toHaveLength(2);
  expect(await tiu('watch', run, '--json')).toMatchObject({ code: 1, out: expect.stringContaining('"run.failed"') as unknown });
});

test('what the service refuses exits with 1', async () => {
  const closed = idIn((await tiu('runs', '--status', 'failed')).out);
  expect(await tiu('cancel', closed)).toMatchObject({ code: 1, err: expect.stringContaining('run_already_closed') as unknown });
  expect(await tiu('watch', '019aa000-0000-7000-8000-000000000001')).toMatchObject({
    code: 1,
    err: expect.stringContaining('not_found') as unknown,
  });
  expect(await tiu('--token', 'tiu_wrong', 'runs')).toMatchObject({ code: 1, err: expect.stringContaining('unauthenticated') as unknown });
});

test('a watch that is interrupted leaves the run alone', async () => {
  const { out } = await tiu('run', file);
  const stop = AbortSignal.timeout(100);
  const env = { TIU_URL: api.url, TIU_TOKEN: api.owner.key };
  expect((await inProcess(['watch', idIn(out)], { env, signal: stop })).code).toBe(0);
  expect((await api.call('GET', `/api/v1/runs/${idIn(out)}`)).body).toMatchObject({ status: 'queued' });
});

test('doctor says what is missing and what to do', async () => {
  const { code, out } = await tiu('doctor');
  expect(code).toBe(1);
  expect(out).toContain('ok  database\n');
  expect(out).toMatch(/BAD 0 workers\n {4}No worker is up/);
});

test('fork uploads what an input names, as run does, with and without a definition', async () => {
  await tiu('run', file, '--input', 'n=7');
  const source = await play('completed');
  fs.writeFileSync(path.join(api.folder, 'notes.txt'), 'mended');
  const sha256 = createHash('sha256').update('mended').digest('hex');
  for (const more of [[], ['--definition', file]]) {
    const { code, out } = await tiu('fork', source, '--input', 'source=notes.txt', ...more);
    expect([code, out.split('\n')[0]]).toEqual([0, `source: 1 file of notes.txt, 1 KiB, as ${sha256.slice(0, 12)}`]);
    const rows = await api.deps.db.rows({ name: 'input', text: 'select input from run where id = $1', values: [idIn(out)] });
    expect(rows).toEqual([{ input: { source: sha256 } }]);
  }
  expect(await tiu('fork', source, '--input', 'source=nowhere.txt')).toMatchObject({
    code: 2,
    err: expect.stringContaining('there is no file') as unknown,
  });
});

test('fork --preview says what would run again and why; fork starts it', async () => {
  await tiu('run', file, '--input', 'n=7');
  const source = await play('completed');
  expect(await tiu('fork', source, '--preview', '--from', 'only')).toMatchObject({ code: 0, out: 'again  only: it was asked for\n' });
  expect(await tiu('fork', source, '--preview')).toMatchObject({ code: 0, out: 'kept   only\n' });
  const edited = ['--input', 'n=8', '--definition', file, '--reason', 'mended'];
  expect(JSON.parse((await tiu('fork', source, '--preview', '--json', ...edited)).out)).toMatchObject({
    why: { only: 'it reads input.n' },
  });
  const { code, out } = await tiu('fork', source, ...edited);
  expect(code).toBe(0);
  expect((await api.call('GET', `/api/v1/runs/${idIn(out)}`)).body).toMatchObject({ forkedFrom: source });
  expect(await tiu('fork', source, '--from', 'none')).toMatchObject({ code: 1, err: expect.stringContaining('/from/0') as unknown });
});
