import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MAIN = path.join(import.meta.dirname, 'main.ts');
/** Many more are lived through by `npm run simulate`. */
const PART = 1_000;
const MAX_MS = 300_000;

/** In a process of its own, because a simulation replaces the timers of its process. */
async function simulate(args: string[], env: Record<string, string> = {}): Promise<{ code: number; output: string }> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 26,
    });
    return { code: 0, output: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, output: `${stdout}${stderr}` };
  }
}

test.concurrent.each([0, 1, 2, 3])(
  'seeds in part %d: nothing accepted is lost or stuck, nothing finished changes, events have no gap',
  async (part) => {
    const { code, output } = await simulate(['--from', String(1 + part * PART), '--seeds', String(PART)]);
    if (code !== 0) throw new Error(output);
    expect(JSON.parse(output)).toMatchObject({ seeds: PART, failed: 0 });
  },
  MAX_MS,
);

test('a seed is the same world each time', async () => {
  const [one, another] = await Promise.all([simulate([], { SEED: '77', TRACE: '1' }), simulate([], { SEED: '77', TRACE: '1' })]);
  const lines = (output: string) => output.split('\n').slice(0, -2);
  expect(lines(one.output).length).toBeGreaterThan(50);
  expect(lines(one.output)).toEqual(lines(another.output));
});

test.concurrent.each([
  ['fence without epoch', /a commit of epoch/],
  ['close without command check', /closed over a command/],
  ['verdict before all dependencies have settled', /the model says/],
  ['the wait after a cancel spins', /turns without waiting/],
  ['what was completed first is undone first', /in a wrong order/],
  ['what waits does not hold up the next', /began before \d+ had ended/],
  ['places are not counted', /there are 1 places/],
  ['a loop has one round more', /went into round/],
  ['an event may be taken again', /waited for go/],
])(
  'a world with a broken rule is found out: %s',
  async (mutation, finding) => {
    const { code, output } = await simulate(['--seeds', '2000'], { MUTATION: mutation, LINES: '5' });
    expect(code).toBe(1);
    expect(output).toMatch(finding);
    expect(output).toMatch(/^SEED=\d+ fails: /);
  },
  MAX_MS,
);
