import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { tiu } from './aTerminal.ts';

let base: string;
beforeAll(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-check-'));
});
afterAll(() => {
  fs.rmSync(base, { recursive: true });
});

const aFile = (name: string, text: string): string => {
  fs.writeFileSync(path.join(base, name), text);
  return path.join(base, name);
};
const valid = { dsl: 'tiu/1', name: 'one', tasks: { a: { type: 'transform', with: { value: 1 } } } };

test('every example is valid', async () => {
  const folder = path.resolve(import.meta.dirname, '../../examples');
  const files = fs.readdirSync(folder).filter((name) => /\.(yaml|json)$/.test(name));
  expect(files).toContain('review-codebase.yaml');
  for (const file of files) expect(await tiu(['check', path.join(folder, file)])).toMatchObject({ code: 0, err: '' });
});

test('a valid definition says its name and size', async () => {
  const file = aFile('valid.json', JSON.stringify(valid));
  expect(await tiu(['check', file])).toEqual({ code: 0, out: `${file}: one is valid, 1 task\n`, err: '' });
});

test('every fault has a line with file, line and column, and the exit code is 1', async () => {
  const file = aFile(
    'faults.yaml',
    'dsl: tiu/1\nname: Two\ntasks:\n  a: { type: transfrm }\n  b: { type: transform, with: { value: "${tasks.c.output}" } }\n',
  );
  const { code, out, err } = await tiu(['check', file]);
  expect(code).toBe(1);
  const lines = out.trimEnd().split('\n');
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).toMatch(/^.+faults\.yaml:\d+:\d+ \/\S+ .+ \[\w+\]$/);
  expect(out).toContain(`${file}:4:8 /tasks/a/type`);
  expect(err).toBe(`tiu: ${file}: 3 faults\n`);
});

test('what is no YAML is a fault with its place', async () => {
  const { code, out } = await tiu(['check', aFile('broken.yaml', 'a: [1\n')]);
  expect({ code, out }).toMatchObject({ code: 1, out: expect.stringMatching(/broken\.yaml:\d+:\d+ /) as unknown });
});

test('a file that is not there is wrong usage', async () => {
  expect(await tiu(['check', path.join(base, 'nowhere.yaml')])).toMatchObject({
    code: 2,
    err: expect.stringContaining('cannot read') as unknown,
  });
});

test.each([[['check']], [['nosuch']], [['runs', '--limit', 'x']], [['run', 'a', '--nosuch']], [['watch']]])(
  '%j is wrong usage',
  async (args) => {
    expect((await tiu(args)).code).toBe(2);
  },
);

test('without a service to talk to the exit code is 3 and the way to start one is told', async () => {
  expect(await tiu(['runs'], { cwd: base })).toMatchObject({ code: 3, err: expect.stringContaining('npm start') as unknown });
  const env = { TIU_URL: 'http://127.0.0.1:9', TIU_TOKEN: 'x' };
  expect(await tiu(['doctor'], { cwd: base, env })).toMatchObject({ code: 3, out: expect.stringContaining('api: no answer') as unknown });
});

test('help is no fault', async () => {
  expect(await tiu(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('Exit codes') as unknown });
});
