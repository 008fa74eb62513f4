import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findKeyHolder } from '../../src/db/actors.ts';
import { redeemOneTime } from '../../src/db/oneTime.ts';
import { createAccount } from '../../src/db/repositories/accounts.ts';
import { settleInvitation } from '../../src/db/repositories/invitations.ts';
import { ownerKey } from '../../src/dev/ownerKey.ts';
import { SCOPES } from '../../src/domain/access/actions.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let base: TestDatabase;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-owner-'));
const file = path.join(folder, 'owner.key');
beforeAll(async () => {
  base = await aDatabase();
});
afterAll(async () => {
  await base.drop();
  fs.rmSync(folder, { recursive: true });
});

test('each start invites the owner until there is one, and the invitation before ends; the key stays and has every scope', async () => {
  const db = await base.open();
  const first = await ownerKey(base.url, file);
  await db.rows({ name: 'narrow', text: `update api_key set scopes = '{runs:read}'`, values: [] });
  const second = await ownerKey(base.url, file);
  expect(second.key).toBe(first.key);
  expect((await findKeyHolder(db, first.key, { now: Date.now(), require: 'off' }))?.scopes).toEqual([...SCOPES].sort());
  expect(second.invitation).not.toBe(first.invitation);
  const redeem = async (token = '') =>
    (await redeemOneTime(db, { token, kind: 'invitation', now: Date.now() }))?.data as { workspace: string; id: string };
  const account = await createAccount(db, { name: { shown: 'First', key: 'first' }, by: 'setup', now: Date.now() });
  expect(await settleInvitation(db, { ...(await redeem(first.invitation)), account })).toBe(false);
  const place = await redeem(second.invitation);
  expect(await settleInvitation(db, { ...place, account })).toBe(true);
  const rows = await db.rows({
    name: 'roles',
    text: 'select workspace, role from membership where account = $1 order by 1',
    values: [account],
  });
  expect(rows).toEqual(expect.arrayContaining([SYSTEM_WORKSPACE, place.workspace].map((workspace) => ({ workspace, role: 'owner' }))));
  expect(await ownerKey(base.url, file)).toEqual({ key: first.key, invitation: undefined });
});
