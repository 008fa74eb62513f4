import type { Scope } from './actions.ts';
import type { Actor } from './can.ts';
import { isRole, rightsOfRole } from './grants.ts';
import { NO_RIGHTS, rightsOfScopes, rolesWithin, scopesOf, type Rights } from './roles.ts';

/** A role as a membership names it; `actions` are those of a role that the workspace has made itself, null of the product's own. */
type Grant = { role: string; actions: readonly string[] | null };

/**
 * What a person has in one workspace: nothing without a role, nor while a second factor is required of them that they have not shown
 * (`unproven`).
 */
export type Grants = { grant: Grant | null; projects: readonly (Grant & { project: string })[]; unproven: boolean };

/** What counts of that. */
const counting = ({ grant, projects, unproven }: Grants) =>
  unproven ? { grant: null, projects: [], more: { unproven: true as const } } : { grant, projects, more: {} };

const rightsOf = ({ role, actions }: Grant): Rights => rightsOfRole(role, actions);

const rolesOf = ({ role }: Grant): ReadonlySet<string> => (isRole(role) ? rolesWithin(role) : new Set([role]));

/** A person who has signed in. @param of.provedAt ms since the epoch */
export function personActor(of: Grants & { account: string; name: string; workspace: string; session: string; provedAt: number }): Actor {
  const { grant, projects, more } = counting(of);
  const rights = grant ? rightsOf(grant) : NO_RIGHTS;
  return {
    ...more,
    principal: `user:${of.account}`,
    account: of.account,
    name: of.name,
    workspace: of.workspace,
    session: { id: of.session, provedAt: of.provedAt },
    grants: new Set(scopesOf(rights)),
    roles: grant ? rolesOf(grant) : new Set(),
    projects: new Map(grant ? projects.map((one) => [one.project, rightsOf(one)]) : []),
    ...rights,
  };
}

/** What no key of a person may: a stolen one would make others that outlive it. */
const NEVER: Scope = 'keys:manage';

/** A key that a person has made: what its scopes say, of what the person may do now. */
export function personKeyActor(of: Grants & { id: string; account: string; workspace: string; scopes: readonly Scope[] }): Actor {
  const { grant, projects, more } = counting(of);
  const within = grant ? rightsOf(grant) : NO_RIGHTS;
  const scopes = of.scopes.filter((scope) => scope !== NEVER);
  return {
    ...more,
    principal: `key:${of.id}`,
    account: of.account,
    workspace: of.workspace,
    grants: new Set(scopes),
    roles: new Set(),
    projects: new Map(grant ? projects.map((one) => [one.project, rightsOfScopes(scopes, rightsOf(one))]) : []),
    ...rightsOfScopes(scopes, within),
  };
}
