import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import { openConnection } from '../../src/db/connection.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { listen, type Listener } from '../../src/db/listen.ts';
import { createNotices } from '../../src/db/notices.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRecord, aSubmit } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
let journal: Journal;
let submits: Submits;
let listener: Listener;
const heard: [channel: string, payload: string][] = [];
let told: () => void = () => undefined;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine');
  journal = createJournal({ url: base.url });
  submits = createSubmits({ url: base.url });
  const listening = Promise.withResolvers<undefined>();
  listener = listen({
    url: base.url,
    channels: ['run', 'kick', 'end'],
    onNotice: (channel, payload) => {
      heard.push([channel, payload]);
      told();
    },
    onListen: () => {
      listening.resolve(undefined);
    },
  });
  await listening.promise;
});
afterAll(async () => {
  await Promise.all([journal.close(), submits.close(), listener.close()]);
  await base.drop();
});

/** The notices until one satisfies `last`, that one included. */
async function hear(last: (channel: string, payload: string) => boolean): Promise<[string, string][]> {
  while (!heard.some(([channel, payload]) => last(channel, payload))) await new Promise<void>((resolve) => (told = resolve));
  return heard.splice(0);
}

async function aBegunRun(tasks: number): Promise<string> {
  const { runId } = await submits.submitRun(aSubmit({ tasks }));
  await hear((channel, payload) => channel === 'run' && payload.includes(runId));
  await db.pool.query(`select run from admit_v3($1, 100, 5000, '{}')`, [randomUUID()]);
  return runId;
}

async function end(run: string, tasks: number, output: string): Promise<[string, string][]> {
  const done = Array.from({ length: tasks }, (_, task) => journal.push(aRecord(run, { task })));
  await Promise.all([...done, journal.push({ segment: {}, run, epoch: 1, type: 'close', status: 'completed', output })]);
  return hear((channel, payload) => channel === 'kick' && payload === 'closed');
}

test('an accepted run is told at once, and that one may begin', async () => {
  const { runId } = await submits.submitRun(aSubmit());
  expect(await hear((channel) => channel === 'kick')).toEqual([
    ['run', runId],
    ['kick', 'queued'],
  ]);
});

test('the end of a short run comes with the run, before what only says that it changed', async () => {
  const run = await aBegunRun(2);
  const notices = await end(run, 2, '{"n":1}');
  expect(notices.map(([channel]) => channel)).toEqual(['end', 'run', 'kick']);
  expect(JSON.parse(notices[0]?.[1] ?? '')).toMatchObject({
    ...{ id: run, status: 'completed', total: 2, open: 0, last_seq: 5, output: '{"n":1}', output_ref: null },
    counts: [{ status: 'completed', n: 2 }],
  });
});

test.each([
  ['gives more than fits a notice', 1, JSON.stringify('x'.repeat(7_900))],
  ['has more than 100 tasks', 101, '1'],
])('a run that %s is only told to have changed', async (_, tasks, output) => {
  const run = await aBegunRun(tasks);
  const notices = await end(run, tasks, output);
  expect(notices.some(([channel]) => channel === 'end')).toBe(false);
  expect(notices.at(-2)).toEqual(['run', run]);
});

test('a run comes along if it has less than 7,900 bytes, to the byte', async () => {
  const ended = async (n: number) => {
    const run = await aBegunRun(1);
    const notices = await end(run, 1, JSON.stringify('x'.repeat(n)));
    const text = 'select octet_length(closed_runs_v1(array[$1::uuid])::text) as bytes';
    const [row] = await db.rows<{ bytes: number }>({ name: 'bytes', text, values: [run] });
    return { bytes: row?.bytes ?? 0, comes: notices.some(([channel]) => channel === 'end') };
  };
  const { bytes } = await ended(2_000);
  const seen = new Map<boolean, number[]>([true, false].map((comes) => [comes, []]));
  for (let n = -6; n <= 6; n++) {
    const one = await ended(2_000 + 7_899 - bytes + n); // times of runs are up to 6 bytes shorter or longer
    seen.get(one.comes)?.push(one.bytes);
  }
  expect(Math.max(...(seen.get(true) ?? []))).toBeLessThan(7_900);
  expect(Math.min(...(seen.get(false) ?? []))).toBeGreaterThanOrEqual(7_900);
  expect(seen.get(true)?.length).toBeGreaterThan(0);
  expect(seen.get(false)?.length).toBeGreaterThan(0);
});

test('eight runs that end in one commit come along with its notice; of more, the others are only told to have changed', async () => {
  const begun: string[] = [];
  for (let i = 0; i < 9; i++) begun.push(await aBegunRun(1));
  const closed = (run: string) => ({ segment: {}, run, epoch: 1, type: 'close', status: 'completed' }) as const;
  await Promise.all(begun.flatMap((run) => [journal.push(aRecord(run)), journal.push(closed(run))]));
  const notices = await hear((channel, payload) => channel === 'kick' && payload === 'closed');
  expect(notices.map(([channel]) => channel)).toEqual([...Array.from({ length: 8 }, () => 'end'), 'run', 'kick']);
  expect(new Set(notices.at(-2)?.[1].split(','))).toEqual(new Set(begun));
});

test('notices go with a commit four at once, then one every 5 ms; what had no turn is told together', async () => {
  const notices = createNotices({ url: base.url });
  const hint = (run: string) => ({ runs: [run], kicks: [] });
  const behind = Array.from({ length: 40 }, (_, i) => notices.behind(hint(`a${i}`)));
  const sent = behind.filter((statement) => statement !== undefined).length;
  expect(sent).toBeGreaterThanOrEqual(4);
  expect(sent).toBeLessThan(40);
  notices.tell(hint('b1'));
  notices.tell({ ...hint('b2'), kicks: ['wait'] });
  expect(notices.behind(hint('c'))).toBeUndefined(); // what waits goes first
  expect(await hear((channel) => channel === 'kick')).toEqual([
    ['run', 'b1,b2'],
    ['kick', 'wait'],
  ]);
  await notices.close();
});

test('what is sent behind a statement runs after it, whether it was committed or refused', async () => {
  const connection = openConnection({ url: base.url, name: 'test' });
  const say = (text: string) => ({ name: 'say', text: `select pg_notify('run', $1)`, values: [text] });
  const sum = { name: 'sum', text: 'select 1 / $1::int as one', values: [1] };
  expect(await connection.rows(sum, say('committed'))).toEqual([{ one: 1 }]);
  await expect(connection.rows({ ...sum, values: [0] }, say('refused'))).rejects.toMatchObject({ code: '22012' });
  expect(await connection.rows(sum)).toEqual([{ one: 1 }]);
  expect(await hear((_, payload) => payload === 'refused')).toEqual([
    ['run', 'committed'],
    ['run', 'refused'],
  ]);
  await connection.end();
});
