import { randomUUID, randomUUIDv7 } from 'node:crypto';
import type { TestApi } from './anApi.ts';
import { signIn } from './auth/aPerson.ts';

export type Person = { account: string; name: string; principal: string; key: string };

/** Somebody with a role in a workspace (`own` unless told otherwise), who has signed in: `key` is their access token. */
export async function aPerson(
  api: TestApi,
  of: { role?: string; workspace?: string; name?: string; expires?: Date } = {},
): Promise<Person> {
  const { role = 'developer', workspace = api.owner.workspace, name = `p_${randomUUID().slice(0, 8)}`, expires } = of;
  const account = randomUUIDv7();
  await api.deps.db.rows({
    name: 'a_person',
    text: `with a as (insert into account (id, name, name_key, email, email_key, created, created_by)
        values ($1, $2, $2, $2 || '@example.test', $2 || '@example.test', clock_timestamp(), 'test') returning id)
      insert into membership (workspace, account, role, granted_by, granted, expires) select $3, id, $4, 'test', clock_timestamp(), $5 from a`,
    values: [account, name, workspace, role, expires ?? null],
  });
  const { accessToken } = await signIn(api.deps, account, { workspace });
  return { account, name, principal: `user:${account}`, key: accessToken };
}
