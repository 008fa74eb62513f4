import { randomUUID, randomUUIDv7 } from 'node:crypto';
import type { Actor } from '../../src/domain/access/can.ts';
import { rightsOfRole } from '../../src/domain/access/grants.ts';
import { rolesWithin, type Rights } from '../../src/domain/access/roles.ts';
import type { Role } from '../../src/domain/access/actions.ts';
import type { TestApi } from './anApi.ts';

export type Person = { account: string; name: string; principal: string; key: string };

const people = new WeakMap<object, Map<string, { account: string; workspace: string }>>();

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
  return { account, name, principal: `user:${account}`, key: signedIn(api, { account, workspace }) };
}

/** A token of somebody who is there. */
function signedIn(api: TestApi, person: { account: string; workspace: string }): string {
  const token = `test_${randomUUID()}`;
  const known = people.get(api) ?? new Map<string, { account: string; workspace: string }>();
  if (!people.has(api)) {
    people.set(api, known);
    const before = api.deps.authenticate;
    const authenticate = (given: string | undefined) => {
      const found = given === undefined ? undefined : known.get(given);
      return found ? actorOf(api, found) : before(given);
    };
    api.deps.authenticate = Object.assign(authenticate, { forget: before.forget });
  }
  known.set(token, person);
  return token;
}

async function actorOf(api: TestApi, { account, workspace }: { account: string; workspace: string }): Promise<Actor> {
  const [row] = await api.deps.db.rows<{ role: string; actions: string[] | null }>({
    name: 'a_person_role',
    text: `select m.role, r.actions from membership m left join role r on r.workspace = m.workspace and r.name = m.role
      where m.workspace = $1 and m.account = $2 and (m.expires is null or m.expires > clock_timestamp())`,
    values: [workspace, account],
  });
  const projects = await api.deps.db.rows<{ project: string; role: string; actions: string[] | null }>({
    name: 'a_person_projects',
    text: `select m.project, m.role, r.actions from project_member m left join role r on r.workspace = m.workspace and r.name = m.role
      where m.workspace = $1 and m.account = $2 and (m.expires is null or m.expires > clock_timestamp())`,
    values: [workspace, account],
  });
  const rights: Rights = rightsOfRole(row?.role ?? '', row?.actions ?? null);
  return {
    ...rights,
    ...{ principal: `user:${account}`, account, workspace, grants: new Set(), session: { id: account, provedAt: Date.now() } },
    roles: row?.actions === null ? rolesWithin(row.role as Role) : new Set([row?.role ?? '']),
    projects: new Map(projects.map((one) => [one.project, rightsOfRole(one.role, one.actions)])),
  };
}
