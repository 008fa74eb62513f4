import { ALL_ACTIONS, ROLES, type Action, type Role } from './actions.ts';
import { NO_RIGHTS, RIGHTS, type Rights } from './roles.ts';

/** One that every workspace has. */
export const isRole = (name: string): name is Role => (ROLES as readonly string[]).includes(name);
const isAction = (name: string): name is Action => (ALL_ACTIONS as readonly string[]).includes(name);

/** What everybody may do to what is their own: leave, that is. */
const EVERYBODYS = [...RIGHTS.viewer.own].filter((action) => !RIGHTS.viewer.actions.has(action));

/** Rights of a role of the workspace's own. Names that this version does not know are passed over. */
export function rightsOfActions(actions: Iterable<string>): Rights {
  const known = [...actions].filter(isAction);
  return { actions: new Set(known), own: new Set([...known, ...EVERYBODYS]) };
}

/** Rights of a role by its name. @param actions of a role of the workspace's own; null = there is none of that name */
export function rightsOfRole(name: string, actions: readonly string[] | null): Rights {
  if (isRole(name)) return RIGHTS[name];
  return actions ? rightsOfActions(actions) : NO_RIGHTS;
}

/** Nobody gives more than they have, nor changes what somebody has who has more. */
export const mayGrant = (giver: Rights, rights: Rights): boolean =>
  [...rights.actions].every((action) => giver.actions.has(action)) && [...rights.own].every((action) => giver.own.has(action));
