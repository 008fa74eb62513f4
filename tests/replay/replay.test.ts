import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import fs from 'node:fs';
import path from 'node:path';
import type { Json } from '../../src/domain/json.ts';
import { workflowBundle } from '../../src/worker/workflowBundle.ts';
import { CANARY } from './shapes.ts';

type Stored = { workflowId: string; events: { eventType: string }[] };

const FOLDER = path.join(import.meta.dirname, 'histories');
const NAMES = fs.readdirSync(FOLDER).map((file) => path.basename(file, '.json'));
const ROOT = process.cwd();
const LIMIT_MS = 60_000;

const stored = (name: string) => JSON.parse(fs.readFileSync(path.join(FOLDER, `${name}.json`), 'utf8')) as Stored;

let bundle: string;
beforeAll(async () => {
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
  bundle = await workflowBundle();
}, LIMIT_MS);
afterAll(() => Runtime.instance().shutdown());

/** @throws Error of a workflow that does not do what the history says, or that goes on for ever */
async function replay(codePath: string, { workflowId, events }: Stored): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error('the replay does not end'));
  }, LIMIT_MS / 2);
  await Promise.race([Worker.runReplayHistory({ workflowBundle: { codePath } }, { events }, workflowId), late.promise]).finally(() => {
    clearTimeout(timer);
  });
}

test.each(NAMES)(
  'the code of today follows the history of %s',
  async (name) => {
    await replay(bundle, stored(name));
  },
  LIMIT_MS,
);

test('the histories are of every way a run can go', () => {
  expect(NAMES.length).toBeGreaterThanOrEqual(10);
  const ends = new Set(NAMES.map((name) => stored(name).events.at(-1)?.eventType));
  const words = ['COMPLETED', 'FAILED', 'CANCELED', 'CONTINUED_AS_NEW'];
  expect([...ends].sort()).toEqual(words.map((word) => `EVENT_TYPE_WORKFLOW_EXECUTION_${word}`).sort());
});

test('a first start has 2 s for a workflow task, so that a killed worker is noticed; what continues as new has 10 s', () => {
  const timeoutOf = (name: string) => /"workflowTaskTimeout":"(\w+)"/.exec(JSON.stringify(stored(name).events[0]))?.[1];
  expect([timeoutOf('chain'), timeoutOf('continued')]).toEqual(['2s', '10s']);
});

test('a history holds no input, output, address, label, reason, message or stack', () => {
  for (const name of NAMES) {
    const texts: string[] = [];
    collect(stored(name), texts);
    expect(texts.filter((text) => text.includes(CANARY))).toEqual([]);
    expect(texts.join()).toContain('runId'); // what is encoded was read
    expect(texts.filter((text) => /\.[jt]s:\d+/.test(text))).toEqual([]);
  }
});

/** Every text of a history; what may be base64 also as what it encodes. */
function collect(value: Json | Stored, texts: string[]): void {
  if (typeof value === 'string') texts.push(value, Buffer.from(value, 'base64').toString('utf8'));
  else if (typeof value === 'object' && value !== null) for (const entry of Object.values(value)) collect(entry, texts);
}

/** The workflow code with one line of it written otherwise, bundled. */
async function mutated(file: string, from: string, to: string): Promise<{ code: string; remove: () => void }> {
  const folder = fs.mkdtempSync(path.join(ROOT, '.tiu', 'mutated-'));
  for (const part of ['workflows', 'domain']) fs.cpSync(path.join(ROOT, 'src', part), path.join(folder, part), { recursive: true });
  const target = path.join(folder, file);
  const text = fs.readFileSync(target, 'utf8');
  if (!text.includes(from)) throw new Error(`${file} does not hold: ${from}`);
  fs.writeFileSync(target, text.replace(from, to));
  const folders = [path.join(folder, 'workflows'), path.join(folder, 'domain')];
  const code = await workflowBundle({ workflowsPath: path.join(folder, 'workflows/index.ts'), folders, cache: folder });
  const remove = () => {
    fs.rmSync(folder, { recursive: true, force: true });
  };
  return { code, remove };
}

test(
  'code that starts segments before effects is caught, and so is one more activity',
  async () => {
    const order = await mutated(
      'workflows/taskGraph.ts',
      'start(run, steps);',
      'start(run, { ...steps, effects: [] });\n    start(run, { ...steps, roots: [] });',
    );
    await expect(replay(order.code, stored('fanOut'))).rejects.toThrow(/[Nn]ondeterminism/);
    order.remove();
    const more = await mutated(
      'workflows/taskGraph.ts',
      'await continueIfDue(run);',
      'await continueIfDue(run);\n  await local.markWaiting(run.id, run.epoch);',
    );
    await expect(replay(more.code, stored('effects'))).rejects.toThrow(/[Nn]ondeterminism/);
    more.remove();
  },
  LIMIT_MS * 2,
);
