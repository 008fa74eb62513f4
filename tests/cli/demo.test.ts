import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

const DEMO = path.resolve(import.meta.dirname, '../../src/cli/demo.ts');
let base: TestDatabase;
let folder: string;
beforeAll(async () => {
  base = await aDatabase();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-demo-'));
});
afterAll(async () => {
  await base.drop();
  fs.rmSync(folder, { recursive: true });
});

/** Runs the demo with its state in a folder of its own, on the servers that all suites share. */
async function demo(source: string): Promise<{ code: number; out: string; err: string }> {
  const env = {
    ...process.env,
    ...{ TIU_STATE: path.join(folder, 'state'), DATABASE_URL: base.url, TIU_TASK_QUEUE: path.basename(base.url) },
    TEMPORAL_ADDRESS: process.env.TIU_TEST_TEMPORAL_ADDRESS,
  };
  const child = spawn(process.execPath, [DEMO, '--source', source], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.on('data', (text: Buffer) => (said.out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (said.err += text.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...said };
}

test('the demo reviews a folder from end to end, tells the web hook once and stops cleanly', async () => {
  const source = path.join(folder, 'source');
  fs.mkdirSync(source);
  fs.writeFileSync(path.join(source, 'good.ts'), 'export const sum = (a: number, b: number): number => a + b;\n');
  fs.writeFileSync(path.join(source, 'stub.py'), 'def later():\n    raise NotImplementedError\n');
  fs.writeFileSync(path.join(source, 'notes.txt'), 'not a source');
  const { code, out, err } = await demo(source);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain('check completed');
  expect(out).toContain('Some files need work: 2 of 2 files, 3 lines, 1 finding (1 error)');
  expect(out).toMatch(/worst files:\n {2}0\.\d{3} {2}stub\.py {2}1 finding\n/);
  expect(out).toContain('| # Some files need work');
  expect(out).toContain('The web hook was told once.');
  expect(out).toMatch(/The run in the Temporal UI, while a stack is up: .*\/workflows\/run%2F[0-9a-f-]{36}\n/);
  expect(JSON.parse(fs.readFileSync(path.join(folder, 'state/stack.json'), 'utf8'))).toMatchObject({ parts: [] });
});

test('a source that is not there is wrong usage', async () => {
  expect(await demo(path.join(folder, 'nowhere'))).toMatchObject({
    code: 2,
    err: expect.stringContaining('there is no folder') as unknown,
  });
});
