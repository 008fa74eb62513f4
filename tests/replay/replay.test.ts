import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DataConverter } from '@temporalio/common';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import fs from 'node:fs';
import path from 'node:path';
import type { Json } from '../../src/domain/json.ts';
import { createPayloadCipher } from '../../src/providers/payloadCipher/payloadCipher.ts';
import { createDataConverter } from '../../src/temporal/dataConverter.ts';
import { ownWorkflows, workflowBundle } from '../../src/worker/workflowBundle.ts';
import { CANARY } from './shapes.ts';

type Stored = { workflowId: string; events: { eventType: string }[] };

const FOLDER = path.join(import.meta.dirname, 'histories');
const NAMES = fs.readdirSync(FOLDER).map((file) => path.basename(file, '.json'));
const ROOT = process.cwd();
const LIMIT_MS = 180_000;

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
async function replay(codePath: string, { workflowId, events }: Stored, dataConverter: DataConverter = {}): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error('the replay does not end'));
  }, LIMIT_MS / 2);
  await Promise.race([
    Worker.runReplayHistory({ workflowBundle: { codePath }, dataConverter }, { events }, workflowId),
    late.promise,
  ]).finally(() => {
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

/** The history with every payload sealed that the SDK would have sealed. */
function sealedAs(value: Json, seal: (payload: { metadata: Record<string, string>; data?: string }) => Json, at = ''): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((entry) => sealedAs(entry, seal, at));
  const own = at.includes('searchAttributes') || at.endsWith('details.data.payloads');
  if ('metadata' in value && 'data' in value && !own) return seal(value as { metadata: Record<string, string>; data?: string });
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, sealedAs(entry, seal, `${at}.${name}`)]));
}

test(
  'a worker with payload keys follows histories from before them, and its own',
  async () => {
    const cipher = createPayloadCipher([{ id: 'k1', secret: Buffer.alloc(32, 1) }]);
    const { payloadCodecs = [], failureConverterPath } = createDataConverter(cipher);
    const code = await workflowBundle(ownWorkflows(failureConverterPath));
    const base64 = (text: Uint8Array | null | undefined) => Buffer.from(text ?? []).toString('base64');
    const bytes = (text = '') => Buffer.from(text, 'base64');
    const seal = (payload: { metadata: Record<string, string>; data?: string }): Json => {
      const metadata = Object.fromEntries(Object.entries(payload.metadata).map(([name, text]) => [name, bytes(text)]));
      const sealed = cipher.seal({ metadata, data: bytes(payload.data) });
      const fields = Object.entries(sealed.metadata ?? {}).map(([name, text]) => [name, base64(text)] as const);
      return { metadata: Object.fromEntries(fields), data: base64(sealed.data) };
    };
    for (const name of ['chain', 'failed', 'cancel', 'continued', 'wideMap']) {
      await replay(code, stored(name), { payloadCodecs });
      await replay(code, sealedAs(stored(name), seal) as Stored, { payloadCodecs });
    }
    const other = createDataConverter(createPayloadCipher([]));
    const unreadable = replay(code, sealedAs(stored('chain'), seal) as Stored, other);
    await expect(unreadable).rejects.toThrow('sealed with the key k1');
  },
  LIMIT_MS * 2,
);

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
