import { ALL_ACTIONS, ROLES, ruleOf, SCOPES, type Action, type Role, type Scope } from './actions.ts';

/** Whose rights a role has besides its own. */
const BELOW: Readonly<Record<Role, readonly Role[]>> = {
  viewer: [],
  developer: ['viewer'],
  project_manager: ['developer'],
  community_moderator: ['developer'],
  admin: ['project_manager', 'community_moderator'],
  owner: ['admin'],
};

/** What somebody may do to anything, and besides to what is their own. */
export type Rights = { actions: ReadonlySet<Action>; own: ReadonlySet<Action> };

export const NO_RIGHTS: Rights = { actions: new Set(), own: new Set() };

/** The role and all whose rights it has. */
export const rolesWithin = (role: Role): ReadonlySet<Role> => new Set([role, ...BELOW[role].flatMap((below) => [...rolesWithin(below)])]);

const rightsOf = (role: Role): Rights => {
  const within = rolesWithin(role);
  return {
    actions: new Set(ALL_ACTIONS.filter((action) => within.has(ruleOf(action).role))),
    own: new Set(ALL_ACTIONS.filter((action) => within.has(ruleOf(action).own ?? ruleOf(action).role))),
  };
};

/** Rights of the roles that every workspace has. */
export const RIGHTS: Readonly<Record<Role, Rights>> = Object.fromEntries(ROLES.map((role) => [role, rightsOf(role)])) as Record<
  Role,
  Rights
>;

const byScope = new Map<Scope, readonly Action[]>(
  SCOPES.map((scope) => [scope, ALL_ACTIONS.filter((action) => ruleOf(action).scope === scope)]),
);

/** What a key with these scopes may do. @param within rights of the person it belongs to; a key never has more */
export function rightsOfScopes(scopes: Iterable<Scope>, within?: Rights): Rights {
  const actions = [...scopes].flatMap((scope) => byScope.get(scope) ?? []);
  const allowed = within ? actions.filter((action) => within.actions.has(action)) : actions;
  const own = within ? actions.filter((action) => within.own.has(action)) : actions;
  return { actions: new Set(allowed), own: new Set(own) };
}

/** The scopes all of whose actions are among these: what may be handed on in a key. */
export const scopesOf = ({ own }: Rights): Scope[] =>
  SCOPES.filter((scope) => byScope.get(scope)?.every((action) => own.has(action)) === true);
