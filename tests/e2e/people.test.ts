import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import type { OrmDatabase } from '../../src/db/database.ts';
import { acceptErasure } from '../../src/db/erasure.ts';
import { askFor, findRequest } from '../../src/db/personRequests.ts';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { closeWorkspace } from '../../src/db/repositories/closedWorkspaces.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import { submitClosing } from '../../src/db/submitClosing.ts';
import { submitRequest } from '../../src/db/submitRequest.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';

let stack: TestStack;
let connection: Connection;
let db: OrmDatabase;
let submits: Submits;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  stack = await aStack({ workers: 1 });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  db = await stack.base.open();
  submits = createSubmits({ url: stack.base.url });
  const { key } = await createApiKey(db, { workspace: SYSTEM_WORKSPACE, name: 'op', scopes: ['runs:read', 'runs:write'], by: 'test' });
  client = aClient({ ...stack, key, workspace: SYSTEM_WORKSPACE }, connection);
});
afterAll(async () => {
  await submits.close();
  await connection.close();
  await stack.stop();
});

const sql = <R extends object = object>(text: string, ...values: unknown[]) => db.rows<R>({ name: '', text, values });
const outputOf = async (run: string) => (await client.ask('GET', `/runs/${run}/output`)).body.output;
async function somebody(): Promise<string> {
  const id = randomUUIDv7();
  await sql(`insert into account (id, name, name_key, created, created_by) values ($1, 'a', $1::uuid::text, now(), 'test')`, id);
  return id;
}

test('an export is written, and who is erased is erased, also when the worker is killed meanwhile', async () => {
  const account = await somebody();
  const exported = await askFor(db, { kind: 'export', account, by: 'test' });
  const run = await submitRequest({ db, submitRun: submits.submitRun }, { id: exported.id, kind: 'export', before: null });
  expect(await client.end(run)).toMatchObject({ status: 'completed' });
  expect(await findRequest(db, exported.id)).toMatchObject({ size: expect.any(Number), sha256: expect.any(String) });
  const accepted = await acceptErasure(db, { account, by: 'test' });
  if (typeof accepted === 'string' || !('request' in accepted)) throw new Error('refused');
  const erasing = await submitRequest({ db, submitRun: submits.submitRun }, { id: accepted.request.id, kind: 'erase', before: null });
  await stack.workers[0]?.kill('SIGKILL');
  await stack.workers[0]?.restart();
  expect(await client.end(erasing)).toMatchObject({ status: 'completed' });
  expect(await outputOf(erasing)).toMatchObject({ removed: { traces: { person_request: 1 }, names: { account: 1 } } });
  expect(await sql('select name, status from account where id = $1', account)).toEqual([{ name: 'erased', status: 'erased' }]);
});

test('a workspace is closed by its run, with what was under way in it', async () => {
  const own = aClient(stack, connection);
  const { id } = await own.start({ w: { type: 'wait', with: { for: 'PT1H' } } }, { wait: false });
  await own.until(id, ({ status }) => status === 'waiting');
  const closing = await closeWorkspace(db, { workspace: stack.workspace, by: 'test', graceMs: 3_000 });
  if (!closing) throw new Error('none');
  const run = await submitClosing({ db, submitRun: submits.submitRun }, closing);
  expect(await client.end(run)).toMatchObject({ status: 'completed' });
  expect(await outputOf(run)).toMatchObject({ withdrawn: false, deleted: { run: 1, api_key: 1, workspace: 1 } });
  expect(await sql('select 1 from run where id = $1 union all select 1 from workspace where id = $2', id, stack.workspace)).toEqual([]);
});
