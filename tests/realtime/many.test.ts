import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { OrmDatabase } from '../../src/db/database.ts';
import { ensureOwner } from '../../src/db/repositories/owner.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { begin, close, tell } from '../api/aStory.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aSocket, ask, follow } from './aSubscriber.ts';
import { anApiProcess, stopLeftOvers, type ApiProcess } from './theProcess.ts';

const RUNS = 20;
const TASKS = 40;
const SOCKETS = 300;
/** Cuts of connections by the proxies, besides those that the clients make themselves. */
const CUTS = 400;

let base: TestDatabase;
let db: OrmDatabase;
let journal: Journal;
let apis: ApiProcess[];
let proxies: Proxy[];
let key: string;
let folder: string;

beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  journal = createJournal({ url: base.url });
  key = (await ensureOwner(db, { workspaceName: 'own' })).key;
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-many-'));
  const env = { DATABASE_URL: base.url, TIU_OBJECTS: folder, TIU_MAX_EVENT_LOOP_DELAY: '60000' };
  apis = await Promise.all([anApiProcess(env), anApiProcess(env)]);
  proxies = await Promise.all(apis.map((api) => aProxy(api.url)));
});
afterAll(async () => {
  for (const proxy of proxies) proxy.close();
  await Promise.all(apis.map((api) => api.stop()));
  // A WebSocket that was cut in its closing handshake waits up to 30 s for the other side.
  const ports = new Set([...apis, ...proxies].map(({ url }) => Number(new URL(url).port)));
  for (const handle of (process as unknown as { _getActiveHandles: () => object[] })._getActiveHandles())
    if (handle instanceof net.Socket && ports.has(handle.remotePort ?? 0)) handle.destroy();
  await stopLeftOvers();
  await journal.close();
  await base.drop();
  fs.rmSync(folder, { recursive: true, force: true });
});

type Proxy = { url: string; open: Set<net.Socket>; close: () => void };

/** Passes bytes on until somebody cuts the connection. */
async function aProxy(target: string): Promise<Proxy> {
  const open = new Set<net.Socket>();
  const { port, hostname } = new URL(target);
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname);
    open.add(client);
    const end = () => {
      open.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    open,
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

/** Pseudo-random, so that a failure can be repeated. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return (state >> 8) % sides;
  };
}

const definition = {
  dsl: 'tiu/1',
  name: 'wide',
  tasks: Object.fromEntries(
    Array.from({ length: TASKS }, (_, i) => [`t${String(i).padStart(2, '0')}`, { type: 'transform', with: { value: i } }]),
  ),
};

async function start(): Promise<string> {
  const runId = randomUUIDv7();
  const response = await fetch(`${apis[0]?.url ?? ''}/api/v1/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ definition, runId }),
  });
  expect(response.status).toBe(202);
  return runId;
}

const stored = (run: string) =>
  db.rows<{ seq: number; type: string; task: number | null }>({
    name: 'stored_events',
    text: 'select seq::float8 as seq, type, task from run_event where run = $1 order by seq',
    values: [run],
  });

const bare = ({ seq, type, task }: RunEvent) => ({ seq, type, task: task === undefined ? null : Number(task.slice(1)) });

/** Follows to the end through a proxy that may cut at any time. */
async function followThroughCuts(run: string, seed: number): Promise<RunEvent[]> {
  const roll = dice(seed);
  const urls = proxies.map((proxy) => proxy.url);
  const all = await follow({ urls: seed % 2 ? urls : urls.toReversed(), token: key, run }, () => 5 + roll(60), 'again');
  return all.events;
}

test(`${SOCKETS} sockets of ${RUNS} runs, cut at random between two processes, and late ones: all read what the database holds`, async () => {
  const runs = await Promise.all(Array.from({ length: RUNS }, start));
  const early = Array.from({ length: SOCKETS }, (_, i) => ({ run: runs[i % RUNS] ?? '', seed: i + 1 }));
  const following = early.map(({ run, seed }) => followThroughCuts(run, seed));
  const roll = dice(99);
  let cuts = 0;
  const cut = () => {
    const open = proxies.flatMap((proxy) => [...proxy.open]);
    if (open.length === 0 || cuts >= CUTS) return;
    open[roll(open.length)]?.destroy();
    cuts += 1;
  };
  await Promise.all(runs.map((run) => begin(db, run)));
  for (let task = 0; task < TASKS; task++) {
    await Promise.all(runs.map((run) => tell(journal, run, { task })));
    for (let i = 0; i < CUTS / TASKS; i++) cut();
  }
  await Promise.all(runs.map((run) => close(journal, run)));
  const late = runs.map((run, i) => ({ run, seed: 1_000 + i }));
  const lateFollowing = late.map(({ run, seed }) => followThroughCuts(run, seed));
  const sequences = await Promise.all([...following, ...lateFollowing]);
  expect(cuts).toBeGreaterThan(CUTS / 2);
  const truth = new Map(await Promise.all(runs.map(async (run) => [run, await stored(run)] as const)));
  for (const [i, { run }] of [...early, ...late].entries()) expect(sequences[i]?.map(bare)).toEqual(truth.get(run));
}, 300_000);

/** Who read beside one that does not. */
const OTHERS = 20;

test('a socket that does not read is told that it is behind, and nobody waits for it', async () => {
  const run = await start();
  const api = apis[0];
  const slow = aSocket(api?.url ?? '', key);
  await once(slow as unknown as NodeJS.EventEmitter, 'connect');
  expect(await ask(slow, 'subscribe', { topic: `run:${run}`, after: 0 })).toMatchObject({ ok: true });
  const raw = (slow.io.engine.transport as unknown as { ws: { _socket: net.Socket } }).ws._socket;
  raw.pause();
  const behind = new Promise<{ seq: number }>((resolve) => slow.once('behind', resolve));
  const read = { events: 0, tell: () => undefined as unknown };
  const onEvent = () => {
    read.events += 1;
    read.tell();
  };
  const others = Array.from({ length: OTHERS }, () => follow({ urls: [api?.url ?? ''], token: key, run, onEvent }, () => 1_000_000));
  /** Until those who read are at most eight events behind: how fast this process reads is not what is tested. */
  const caughtUp = async (written: number) => {
    while (read.events < OTHERS * (written - 8))
      await new Promise(
        (resolve) =>
          (read.tell = () => {
            resolve(undefined);
          }),
      );
  };
  await begin(db, run);
  // the system takes megabytes for a reader before the process notices: failures carry as much as they may
  const failure = JSON.stringify({ code: 'assertion_failed', message: 'x'.repeat(60_000) });
  for (let round = 0; round < 200; round++) {
    await tell(journal, run, { task: 0, attempt: round + 1, status: 'retrying', failure });
    await caughtUp(round + 1);
  }
  for (let task = 0; task < TASKS; task++) await tell(journal, run, { task, attempt: 1_000 });
  await close(journal, run);
  const truth = await stored(run);
  for (const { events, connections } of await Promise.all(others)) {
    expect(events.map(bare)).toEqual(truth);
    expect(connections).toBe(1);
  }
  raw.resume();
  const { seq } = await behind;
  expect(seq).toBeLessThan(truth.length);
  slow.disconnect();
  raw.destroy(); // with what it has not read a closing handshake would take long
}, 300_000);
