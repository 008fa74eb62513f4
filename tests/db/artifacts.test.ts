import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recordArtifact } from '../../src/db/artifacts.ts';
import type { Database } from '../../src/db/database.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await aDatabase();
  db = await database.open();
});
afterAll(() => database.drop());

test('an artifact has one row and one reference per holder, however often it is recorded', async () => {
  const workspace = randomUUID();
  const artifact = { sha256: 'ab'.repeat(32), size: 5, mediaType: 'text/plain', name: 'a.txt' };
  const holders = ['run:1', 'run:1', 'run:2'];
  await Promise.all(holders.map((holder) => recordArtifact(db, workspace, { ...artifact, name: `${holder}.txt`, holder })));
  await recordArtifact(db, randomUUID(), { ...artifact, holder: 'run:3' });
  const rows = await db.rows({
    name: 'a',
    text: `select encode(sha256, 'hex') as sha256, size::int as size, media_type from artifact where workspace = $1`,
    values: [workspace],
  });
  expect(rows).toEqual([{ sha256: artifact.sha256, size: 5, media_type: 'text/plain' }]);
  const refs = await db.rows({
    name: 'r',
    text: 'select holder from artifact_ref where workspace = $1 order by holder',
    values: [workspace],
  });
  expect(refs).toEqual([{ holder: 'run:1' }, { holder: 'run:2' }]);
});
