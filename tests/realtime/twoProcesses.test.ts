import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { OrmDatabase } from '../../src/db/database.ts';
import { ensureOwner } from '../../src/db/repositories/owner.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { begin, close, tell } from '../api/aStory.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { follow } from './aSubscriber.ts';
import { anApiProcess, stopLeftOvers, type ApiProcess } from './theProcess.ts';

let base: TestDatabase;
let db: OrmDatabase;
let journal: Journal;
let apis: ApiProcess[];
let key: string;
let folder: string;

beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  journal = createJournal({ url: base.url });
  key = (await ensureOwner(db, { workspaceName: 'own' })).key;
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-two-'));
  const env = { DATABASE_URL: base.url, TIU_OBJECTS: folder, TIU_SHUTDOWN_GRACE: '30000' };
  apis = await Promise.all([anApiProcess(env), anApiProcess(env)]);
});
afterAll(async () => {
  const codes = await Promise.all(apis.map((api) => api.stop()));
  await stopLeftOvers();
  await journal.close();
  await base.drop();
  fs.rmSync(folder, { recursive: true, force: true });
  expect(codes).toEqual([0, 0]);
});

const TASKS = 400;
const wide = {
  dsl: 'tiu/1',
  name: 'wide',
  tasks: Object.fromEntries(Array.from({ length: TASKS }, (_, i) => [`t${i}`, { type: 'transform', with: { value: i } }])),
};

async function start(definition: object): Promise<string> {
  const runId = randomUUIDv7();
  const response = await fetch(`${apis[0]?.url ?? ''}/api/v1/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ definition, runId }),
  });
  expect(response.status).toBe(202);
  return runId;
}

async function play(run: string): Promise<void> {
  await begin(db, run);
  for (let task = 0; task < TASKS; task++) await tell(journal, run, { task });
  await close(journal, run);
}

/** Pseudo-random, so that a failure can be repeated. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return 1 + (state % 60);
  };
}

async function stream(url: string, run: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for (let after = 0; ; after = events.at(-1)?.seq ?? 0) {
    const headers = { authorization: `Bearer ${key}`, accept: 'text/event-stream', 'last-event-id': String(after) };
    const response = await fetch(`${url}/api/v1/runs/${run}/events`, { headers });
    const text = await response.text();
    for (const [, data = ''] of text.matchAll(/^data: (.*)$/gm)) events.push(JSON.parse(data) as RunEvent);
    if (events.at(-1)?.type === 'run.completed') return events;
  }
}

test('two processes give everybody the identical sequence, whatever connections are lost', async () => {
  const run = await start(wide);
  const urls = apis.map((api) => api.url);
  const followers = Array.from({ length: 8 }, (_, i) => follow({ urls: i % 2 ? urls : urls.toReversed(), token: key, run }, dice(i + 1)));
  const streams = urls.map((url) => stream(url, run));
  await play(run);
  const late = await follow({ urls, token: key, run }, () => 1_000);
  const sequences = [...(await Promise.all(followers)).map((one) => one.events), ...(await Promise.all(streams)), late.events];
  const listed: RunEvent[] = [];
  while (listed.length < TASKS + 2) {
    const response = await fetch(`${urls[1] ?? ''}/api/v1/runs/${run}/events?limit=150&after=${listed.length}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    listed.push(...((await response.json()) as { items: RunEvent[] }).items);
  }
  expect(listed.map((event) => event.seq)).toEqual(Array.from({ length: TASKS + 2 }, (_, i) => i + 1));
  for (const sequence of sequences) expect(sequence.map(bare)).toEqual(listed);
  expect(late.connections).toBe(1);
});

const bare = (event: RunEvent): RunEvent => {
  const { seq, type, at, runId, task, attempt } = event;
  return { seq, type, at, runId, ...(task !== undefined && { task }), ...(attempt !== undefined && { attempt }) };
};

test('an idle process stays below 160 MB', async () => {
  const fresh = await anApiProcess({ DATABASE_URL: base.url, TIU_OBJECTS: folder });
  await fetch(`${fresh.url}/health/ready`);
  const rss = await fresh.rss();
  await fresh.stop();
  expect(rss).toBeLessThan(160 * 2 ** 20);
});

test('a process that loses every connection to the database answers again and still follows', async () => {
  const api = apis[0];
  const run = await start(wide);
  const following = follow({ urls: [api?.url ?? ''], token: key, run }, () => 1_000);
  await begin(db, run);
  await tell(journal, run, { task: 0 });
  const admin = new pg.Client(base.url);
  await admin.connect();
  await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name not like '% journal%'
    and pid <> pg_backend_pid()`);
  await admin.end();
  const read = () => fetch(`${api?.url ?? ''}/api/v1/runs/${run}`, { headers: { authorization: `Bearer ${key}` } });
  const first = await read();
  expect([200, 503]).toContain(first.status);
  for (let status = 0; status !== 200; status = (await read()).status);
  for (let task = 1; task < TASKS; task++) await tell(journal, run, { task });
  await close(journal, run);
  const { events } = await following;
  expect(events.map((event) => event.seq)).toEqual(Array.from({ length: TASKS + 2 }, (_, i) => i + 1));
});

test('1,500 clients that come at once while a process is held up are all connected', async () => {
  const { pid = 0, url = '' } = apis[0] ?? {};
  const { hostname: host, port } = new URL(url);
  process.kill(pid, 'SIGSTOP');
  const clients = Array.from({ length: 1_500 }, () => net.connect({ host, port: Number(port) }));
  try {
    // whoever is not let in comes again and again, for as long as the process is held up
    const all = Promise.all(clients.map((client) => once(client, 'connect'))).then(() => 'all');
    expect(await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 60_000, 'some').unref())])).toBe('all');
  } finally {
    process.kill(pid, 'SIGCONT');
    for (const client of clients) client.destroy();
  }
});

test('a process that is asked to end answers what it has begun and ends well', async () => {
  const api = await anApiProcess({ DATABASE_URL: base.url, TIU_OBJECTS: folder });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', prefer: 'wait=30' };
  const runId = randomUUIDv7();
  const ended = new AbortController();
  const waiting = fetch(`${api.url}/api/v1/runs`, { method: 'POST', headers, body: JSON.stringify({ definition: wide, runId }) }).finally(
    () => {
      ended.abort();
    },
  );
  const stream = fetch(`${apis[0]?.url ?? ''}/api/v1/runs/${runId}/events`, { headers: { ...headers, accept: 'text/event-stream' } });
  const { authorization } = headers;
  const isAccepted = async () => (await fetch(`${apis[0]?.url ?? ''}/api/v1/runs/${runId}`, { headers: { authorization } })).status === 200;
  while (!(await isAccepted())) if (ended.signal.aborted) throw new Error(`not accepted: ${(await waiting).status}`);
  const code = await api.stop();
  expect((await waiting).status).toBe(202);
  expect(code).toBe(0);
  await (await stream).body?.cancel();
});
