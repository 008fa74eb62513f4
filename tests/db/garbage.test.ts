import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { claimObject, recordArtifact } from '../../src/db/artifacts.ts';
import type { Database } from '../../src/db/database.ts';
import { adoptOrphans, deleteGarbage, markGarbage } from '../../src/db/garbage.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { findArtifact } from '../../src/db/repositories/artifacts.ts';
import { createObjectStore, type ObjectStore } from '../../src/providers/objectStore/objectStore.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRandom } from '../support/aGraph.ts';
import { aRecord, someRuns, statement, WORKSPACE } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
let journal: Journal;
let root: string;
let objects: ObjectStore;

beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 8);
  journal = createJournal({ url: base.url });
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-garbage-'));
  objects = createObjectStore({ root, claim: (workspace, object) => claimObject(db, workspace, object) });
});
afterAll(async () => {
  await journal.close();
  await base.drop();
  fs.rmSync(root, { recursive: true, force: true });
});

const HOUR_MS = 3_600_000;
const age = (workspace: string) =>
  db.rows(
    statement(`update artifact set touched = now() - interval '2 hours', deleting = deleting - interval '2 hours' where workspace = $1`, [
      workspace,
    ]),
  );
const refs = async (workspace: string) =>
  (
    await db.rows<{ sha: string; holder: string }>(
      statement(`select encode(sha256, 'hex') as sha, holder from artifact_ref where workspace = $1 order by holder, 1`, [workspace]),
    )
  ).map(({ sha, holder }) => [holder, sha]);
const mark = () => markGarbage(db, { after: null, graceMs: HOUR_MS, limit: 1_000 });
const collect = () =>
  deleteGarbage(db, { graceMs: HOUR_MS, settleMs: 0, limit: 100 }, ({ workspace, sha256 }) => objects.delete(workspace, sha256));
const sha = (text: string) => createHash('sha256').update(text).digest('hex');

/** An artifact, held by nobody unless told otherwise. */
async function aStored(workspace: string, text: string, holder?: string): Promise<string> {
  const stored = await objects.put(workspace, Buffer.from(text));
  await recordArtifact(db, workspace, { ...stored, mediaType: 'text/plain', name: text, holder: holder ?? 'nobody' });
  if (holder === undefined)
    await db.rows(
      statement('delete from artifact_ref where workspace = $1 and sha256 = $2', [workspace, Buffer.from(stored.sha256, 'hex')]),
    );
  return stored.sha256;
}

test('what an output names is held by its row from the same commit on, each object of a text with marks too', async () => {
  const [run = ''] = await someRuns(db, 1);
  const [a, b] = [sha('a'), sha('b')];
  await journal.push(aRecord(run, { task: 0, outputRef: Buffer.from(a, 'hex'), outputSize: 70_000 }));
  const text = JSON.stringify({ x: { 'tiu:object': [a, 70_000] }, y: [{ 'tiu:object': [b, 80_000] }], z: '{"tiu:object":["' });
  await journal.push(aRecord(run, { task: 1, output: text, outputRef: Buffer.from(a, 'hex'), outputSize: 150_000 }));
  await journal.push(aRecord(run, { task: 2, output: '"small"' }));
  await journal.push({ segment: {}, run, epoch: 1, type: 'close', status: 'completed' }).catch(() => undefined);
  expect(await refs(WORKSPACE)).toEqual(
    [
      [`task:${run}/0/-1/0`, a],
      [`task:${run}/1/-1/0`, a],
      [`task:${run}/1/-1/0`, b],
    ].sort(),
  );
  expect(await findArtifact(db, { workspace: WORKSPACE, sha256: b })).toMatchObject({ size: 80_000, media_type: 'application/json' });
});

test('a running attempt that becomes completed holds its output, an attempt that is refused holds nothing', async () => {
  const [run = ''] = await someRuns(db, 1);
  const token = randomUUID();
  const output = { outputRef: Buffer.from(sha('late'), 'hex'), outputSize: 70_000 };
  await journal.push(aRecord(run, { task: 0, token, status: 'running' }));
  await expect(journal.push(aRecord(run, { task: 0, token: randomUUID(), ...output }))).rejects.toMatchObject({ name: 'Refused' });
  expect((await refs(WORKSPACE)).filter(([holder]) => holder?.includes(run))).toEqual([]);
  await journal.push(aRecord(run, { task: 0, token, ...output }));
  expect((await refs(WORKSPACE)).filter(([holder]) => holder?.includes(run))).toEqual([[`task:${run}/0/-1/0`, sha('late')]]);
});

test('only what nobody holds and nobody touched for the grace is deleted, file and row', async () => {
  const workspace = randomUUID();
  const [held, free] = [await aStored(workspace, 'held', `run:${randomUUID()}`), await aStored(workspace, 'free')];
  await age(workspace);
  const fresh = await aStored(workspace, 'fresh');
  await mark();
  expect(await findArtifact(db, { workspace, sha256: free })).toBeUndefined();
  expect(await objects.has(workspace, free)).toBe(true);
  expect(await collect()).toMatchObject({ objects: 1, bytes: 4, kept: 0 });
  expect(await Promise.all([held, free, fresh].map((sha256) => objects.has(workspace, sha256)))).toEqual([true, false, true]);
  expect(await db.rows(statement('select 1 from artifact where workspace = $1', [workspace]))).toHaveLength(2);
});

test('a file that no row knows is deleted after the grace, and one that just came is not', async () => {
  const workspace = randomUUID();
  const bare = createObjectStore({ root });
  const [old, young] = [await bare.put(workspace, Buffer.from('old')), await bare.put(workspace, Buffer.from('young'))];
  const files = [];
  for await (const file of objects.list())
    if (file.workspace === workspace) files.push({ ...file, ...(file.sha256 === old.sha256 && { modifiedMs: Date.now() - 2 * HOUR_MS }) });
  expect(await adoptOrphans(db, files)).toBe(2);
  await collect();
  expect([await objects.has(workspace, old.sha256), await objects.has(workspace, young.sha256)]).toEqual([false, true]);
});

/** Resolves when a session of this database waits for a lock. */
async function lockWait(): Promise<void> {
  const waiting = statement(
    `select 1 from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()`,
  );
  while ((await db.rows(waiting)).length === 0) await new Promise(setImmediate);
}

test('an object that is put between the look at its holders and the end of its file survives', async () => {
  const workspace = randomUUID();
  const bytes = Buffer.from('once more');
  const sha256 = await aStored(workspace, bytes.toString());
  await age(workspace);
  await mark();
  let putting: Promise<unknown> = Promise.resolve();
  const gone = await deleteGarbage(db, { graceMs: HOUR_MS, settleMs: 0, limit: 100 }, async (object) => {
    if (object.workspace === workspace) putting = objects.put(workspace, bytes);
    await Promise.race([putting, lockWait()]);
    await objects.delete(object.workspace, object.sha256);
  });
  expect(gone.objects).toBeGreaterThan(0);
  await putting;
  expect(await objects.get(workspace, sha256)).toEqual(bytes);
});

test('an object that gets a holder before its row is locked is kept and found again', async () => {
  const workspace = randomUUID();
  const sha256 = await aStored(workspace, 'found');
  await age(workspace);
  await mark();
  await db.rows(
    statement(`insert into artifact_ref (workspace, sha256, holder, created) values ($1, $2, 'run:x', now())`, [
      workspace,
      Buffer.from(sha256, 'hex'),
    ]),
  );
  expect((await collect()).kept).toBe(1);
  expect(await findArtifact(db, { workspace, sha256 })).toMatchObject({ sha256 });
  expect(await objects.has(workspace, sha256)).toBe(true);
});

test('an object that is put and recorded while it is collected survives, in 60 rounds', async () => {
  const random = aRandom(5);
  const workspace = randomUUID();
  const turns = async (n: number) => {
    for (let i = 0; i < n; i++) await new Promise(setImmediate);
  };
  let collected = 0;
  for (let round = 0; round < 60; round++) {
    const text = `round ${round % 3}`;
    const sha256 = sha(text);
    if (round < 3) await objects.put(workspace, Buffer.from(text));
    await db.rows(statement('delete from artifact_ref where workspace = $1', [workspace]));
    await age(workspace);
    if (random() < 0.5) await mark();
    const later = Math.floor(random() * 12);
    const [, done] = await Promise.all([
      (async () => {
        await turns(later);
        const stored = await objects.put(workspace, Buffer.from(text));
        await recordArtifact(db, workspace, { ...stored, mediaType: 'text/plain', name: 'x', holder: `run:${randomUUID()}` });
      })(),
      (async () => {
        await turns(Math.floor(random() * 12));
        await mark();
        return collect();
      })(),
    ]);
    collected += done.objects;
    expect({ round, row: (await findArtifact(db, { workspace, sha256 }))?.sha256, file: await objects.has(workspace, sha256) }).toEqual({
      round,
      row: sha256,
      file: true,
    });
  }
  expect(collected).toBeGreaterThan(3); // else nothing raced
});
