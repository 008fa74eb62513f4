import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { KINDS } from '../../src/domain/kinds/kinds.ts';
import { createPayloadCipher } from '../../src/providers/payloadCipher/payloadCipher.ts';
import { CANARY, play, shapes, SUGGESTED } from '../replay/shapes.ts';
import { aCluster, kill, type Cluster } from '../chaos/support/cluster.ts';
import { call, cancel, closed, define, executionsOf, happened, statesOf, submit, wait, type AcceptedRun } from '../chaos/support/runs.ts';

/** Names that operators may read with the key, and nobody without. */
const NAMED = 'named_7a1c';
const LIMIT_MS = 120_000;
const keys = [{ id: 'k1', secret: Buffer.alloc(32, 1) }];
const setting = (list: typeof keys) => list.map(({ id, secret }) => `${id}:${secret.toString('base64')}`).join(',');

let cluster: Cluster;
let connection: Connection;
beforeAll(async () => {
  cluster = await aCluster({
    env: { TIU_PAYLOAD_KEYS: setting(keys), TIU_ACTIVITY_START_TIMEOUT: '500' },
    dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': SUGGESTED },
  });
  connection = await Connection.connect({ address: cluster.temporal.address });
}, LIMIT_MS);
afterAll(async () => {
  await connection.close();
  await cluster.stop();
}, LIMIT_MS);

async function upload(): Promise<string> {
  const folder = path.join(cluster.folder, 'packed');
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, `${CANARY}.ts`), `export const secret = '${CANARY}';\n`);
  const body = execFileSync('tar', ['-C', folder, '-c', '.']);
  const response = await fetch(`${cluster.apis[0]?.line.url ?? ''}/api/v1/artifacts?name=${CANARY}.tar`, {
    method: 'POST',
    headers: { authorization: `Bearer ${cluster.key}`, 'content-type': 'application/octet-stream' },
    body,
  });
  return ((await response.json()) as { sha256: string }).sha256;
}

/** Every kind once, with the canary in whatever a user may write. */
function everyKind(artifact: string): { definition: JsonObject; kinds: Set<string> } {
  const tasks = {
    [`${NAMED}_compute`]: { type: 'transform', title: NAMED, with: { value: { note: CANARY, of: '${input.secret}' } } },
    holds: { type: 'assert', with: { that: `input.secret == '${CANARY}'`, message: CANARY } },
    pick: { type: 'switch', with: { cases: [{ if: `input.secret == '${CANARY}'`, then: ['render'] }] } },
    render: { type: 'render', with: { template: `${CANARY} {{secret}}`, data: { secret: '${input.secret}' }, name: `${CANARY}.txt` } },
    judge: { type: 'validate', with: { content: `const a = '${CANARY}'`, language: 'typescript' } },
    list: { type: 'artifact.list', with: { artifact, include: [`**/${CANARY}*`] } },
    read: { type: 'artifact.read', with: { artifact, path: `${CANARY}.ts` } },
    write: { type: 'artifact.write', with: { content: { secret: '${input.secret}' }, name: `${CANARY}.json` } },
    post: {
      ...call(cluster, `/kinds?secret=${CANARY}`),
      with: {
        method: 'POST',
        url: `${cluster.receiver.url}/kinds?secret=${CANARY}`,
        headers: { 'x-secret': CANARY },
        body: { secret: '${input.secret}' },
      },
    },
    pause: wait('PT0.1S', { if: `input.secret == '${CANARY}'` }),
    ...outsideAndOthers(),
  };
  const definition = define(tasks, {
    title: NAMED,
    labels: { note: CANARY },
    output: { value: { secret: `\${tasks.${NAMED}_compute.output}` } },
  }) as JsonObject;
  return { definition, kinds: new Set(Object.values(tasks).map(({ type }) => type)) };
}

/** A program that is not allowed, a notice, and what waits for events, people, other runs and workers of users: to those it is told. */
const outsideAndOthers = () => ({
  program: { type: 'command', with: { program: 'none', args: [CANARY] }, onError: 'continue' },
  tell: { type: 'notify', with: { channel: 'slack', to: `${cluster.receiver.url}/slack?secret=${CANARY}`, text: CANARY } },
  call: { type: 'activity', with: { taskQueue: 'nobody', activity: 'none', args: [NAMED] }, onError: 'continue' },
  happen: { type: 'event', with: { name: 'happened', key: CANARY }, deadline: 'PT0.2S', onDeadline: 'continue' },
  ask: { type: 'approval', with: { message: CANARY, data: { secret: '${input.secret}' } }, deadline: 'PT0.2S', onDeadline: 'approve' },
  inner: {
    type: 'workflow',
    with: {
      definition: define({ a: { type: 'transform', with: { value: CANARY } } }, { name: 'inner' }),
      input: { secret: '${input.secret}' },
    },
  },
});

/** Every text in a value; what may be base64 also as what it encodes. */
function collect(value: Json, texts: string[] = []): string[] {
  if (typeof value === 'string') texts.push(value, Buffer.from(value, 'base64').toString('utf8'));
  else if (typeof value === 'object' && value !== null) for (const [name, entry] of Object.entries(value)) collect(entry, texts).push(name);
  return texts;
}

type WirePayload = { metadata: Record<string, string>; data?: string };
const isPayload = (value: object): value is WirePayload => 'metadata' in value && typeof value.metadata === 'object' && 'data' in value;
const bytes = (text = '') => Buffer.from(text, 'base64');

/** The same with every payload opened. `plain` is told of those that were not sealed. */
function opened(value: Json, plain: (payload: WirePayload, at: string) => void, at = ''): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((entry) => opened(entry, plain, at));
  if (!isPayload(value))
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, opened(entry, plain, `${at}.${name}`)]));
  if (bytes(value.metadata.encoding).toString() !== 'binary/tiu-sealed-1') plain(value, at);
  const metadata = Object.fromEntries(Object.entries(value.metadata).map(([name, text]) => [name, bytes(text)]));
  return bytes(Buffer.from(createPayloadCipher(keys).open({ metadata, data: bytes(value.data) }).data ?? []).toString('base64')).toString();
}

async function everyHistory(): Promise<JsonObject[]> {
  const { workflow } = new Client({ connection });
  const found: JsonObject[] = [];
  for await (const { workflowId, runId } of workflow.list())
    found.push(JSON.parse(historyToJSON(await workflow.getHandle(workflowId, runId).fetchHistory())) as JsonObject);
  return found;
}

const bad = (texts: readonly string[], word: string) => texts.filter((text) => text.includes(word));

test(
  'no input, output, template, header, reason, name or secret stands in Temporal, and no name of a task without the key',
  async () => {
    const { definition, kinds } = everyKind(await upload());
    expect([...kinds].sort()).toEqual(
      Object.keys(KINDS)
        .filter((kind) => KINDS[kind]?.system !== true)
        .sort(),
    );
    const one = await submit(cluster, definition, { input: { secret: CANARY }, status: 'completed' });
    const failed = await submit(cluster, define({ [`${NAMED}_fails`]: { type: 'assert', with: { that: 'false', message: CANARY } } }));
    const stopped = await submit(cluster, define({ long: wait('PT1H') }), { input: { secret: CANARY } });
    await happened(cluster, stopped, 'task.waiting');
    await cancel(cluster, stopped, CANARY);
    const played = await Promise.all(Object.values(shapes(cluster)).map((shape) => play(cluster, shape)));
    await closed(cluster, [one, failed, stopped]);
    await executionsOf(
      cluster,
      [one, failed, stopped, ...played].map(({ id }) => id),
    );
    expect((await statesOf(cluster, [one.id]))[0]?.status).toBe('completed');

    const histories = await everyHistory();
    expect(histories.length).toBeGreaterThan(played.length);
    const raw = histories.flatMap((history) => collect(history));
    expect(bad(raw, CANARY)).toEqual([]);
    expect(bad(raw, NAMED)).toEqual([]);
    const places = new Set<string>();
    const open = histories.flatMap((history) => collect(opened(history, (_, at) => places.add(at))));
    expect(bad(open, CANARY)).toEqual([]);
    expect(bad(open, NAMED)).not.toEqual([]); // else nothing was opened
    // what Core writes about a local activity itself (its number, its times), and what Temporal's index needs
    expect(
      [...places].filter(
        (at) => !/searchAttributes\.indexedFields\.\w+$|markerRecordedEventAttributes\.details\.(patch-)?data\.payloads$/.test(at),
      ),
    ).toEqual([]);
  },
  LIMIT_MS,
);

test('neither does it stand in what is beside the histories: lists, queues, workers, the files of the server', async () => {
  const { workflow } = new Client({ connection });
  const listed = [];
  for await (const execution of workflow.list()) listed.push(JSON.stringify(execution.raw));
  const described = await Promise.all(
    ['workflow list --output json', 'task-queue describe --task-queue chaos --output json', 'worker list --output json'].map((text) =>
      cluster.cli(...text.split(' ')).catch((error: unknown) => String(error)),
    ),
  );
  for (const text of [...listed, ...described]) for (const word of [CANARY, NAMED]) expect(text).not.toContain(word);
  const files = ['temporal/temporal.db', 'temporal/temporal.db-wal'].map((name) => fs.readFileSync(path.join(cluster.folder, name)));
  expect(files.some((content) => content.includes('tiu-sealed-1'))).toBe(true);
  expect(files.some((content) => content.includes(CANARY) || content.includes(NAMED))).toBe(false);
});

async function restartWorkersWith(list: typeof keys): Promise<void> {
  cluster.env.TIU_PAYLOAD_KEYS = setting(list);
  await Promise.all([...cluster.workers].map((worker) => kill(worker)));
  await cluster.staff(2);
}

/** As if it had waited for long: one that has just begun to is started anew with its worker's takeover. */
const hasWaited = ({ id }: AcceptedRun) => cluster.rows(`update run_event set at = at - interval '1 minute' where run = $1`, [id]);

test(
  'a run goes on over a rotation of keys, and over the loss of a key',
  async () => {
    const open = cluster.receiver.hold('/rotate');
    const tasks = {
      first: call(cluster, '/before'),
      held: call(cluster, '/rotate', { dependsOn: ['first'] }),
      end: call(cluster, '/end', { dependsOn: ['held'] }),
    };
    const rotated = await submit(cluster, define(tasks), { status: 'completed' });
    await cluster.receiver.next(rotated.id);
    await happened(cluster, rotated, 'task.started', 1);
    const both = [{ id: 'k2', secret: Buffer.alloc(32, 2) }, ...keys];
    await restartWorkersWith(both);
    open();
    await closed(cluster, [rotated]);
    expect((await statesOf(cluster, [rotated.id]))[0]).toMatchObject({ status: 'completed', restarts: 0 });

    const shut = cluster.receiver.hold('/rotate');
    const lost = await submit(cluster, define(tasks), { status: 'completed' });
    await cluster.receiver.next(`${lost.id}/held`);
    // it has something to undo: one that only waits would end with the commit of its cancel
    const undone = call(cluster, '/before', { compensate: call(cluster, '/undo') });
    const idle = await submit(cluster, define({ first: undone, idle: wait('PT1H', { dependsOn: ['first'] }) }), { status: 'cancelled' });
    await happened(cluster, idle, 'run.waiting');
    await hasWaited(idle);
    await restartWorkersWith([{ id: 'k3', secret: Buffer.alloc(32, 3) }]);
    await cancel(cluster, idle);
    await closed(cluster, [idle]); // of it, the workflow task cannot be read
    await cluster.receiver.next(`${lost.id}/held`); // of it, the activity
    shut();
    await closed(cluster, [lost]);
    // not given up, not counted as a fault of the run, nothing done twice that was finished
    expect((await statesOf(cluster, [lost.id]))[0]).toMatchObject({ status: 'completed', restarts: 0 });
    expect(cluster.receiver.counts().get(`${lost.id}/first/-/0`)).toBe(1);
    expect((await statesOf(cluster, [idle.id]))[0]).toMatchObject({ status: 'cancelled', restarts: 0 });
    const said = cluster.log();
    expect(said).toMatch(new RegExp(`"runId":"${idle.id}","diagnosis":"sealed"`)); // the other was taken over with its worker
    expect(said).toContain('payload_key_unknown');
  },
  LIMIT_MS * 2,
);
