import type { Action, Scope } from './actions.ts';
import { rightsOfScopes, type Rights } from './roles.ts';

/** Who acts, with what is theirs in the one workspace they act in. */
export type Actor = Rights & {
  /** What rows record: `key:<uuid>` or `user:<uuid>`. */
  principal: string;
  workspace: string;
  /** Scopes of a key; of a person those that the role holds wholly. */
  grants: ReadonlySet<Scope>;
  /** Names of the roles that a person has in the workspace, with those within them; none of a key. */
  roles: ReadonlySet<string>;
  /** Rights in single projects, by id. */
  projects: ReadonlyMap<string, Rights>;
  /** What a person is called. */
  name?: string;
  /** The person; also of a key that a person has made. */
  account?: string;
  /** A second factor is required of them, and they have not shown it: they have no rights. */
  unproven?: true;
  /** Of a person who has signed in: the session, and when they last proved who they are, ms since the epoch. */
  session?: { id: string; provedAt: number };
};

/** What is acted on: as much of it as the decision needs. */
export type Resource = {
  workspace: string;
  project?: string | null;
  /** The principal who made it. */
  owner?: string;
};

/** The one decision about rights. An object of another workspace is nobody's business, whatever is granted. */
export function can(actor: Actor, action: Action, resource: Resource): boolean {
  if (actor.workspace !== resource.workspace) return false;
  const holds = (rights: Rights) => rights.actions.has(action) || (resource.owner === actor.principal && rights.own.has(action));
  const inProject = resource.project == null ? undefined : actor.projects.get(resource.project);
  return holds(actor) || (inProject !== undefined && holds(inProject));
}

/** Whether there may be an object to which the actor may do this: what is asked before it is loaded. */
export const mayEver = (actor: Actor, action: Action): boolean =>
  actor.actions.has(action) || actor.own.has(action) || [...actor.projects.values()].some((rights) => rights.own.has(action));

/** Who acts with a key that belongs to nobody in particular. */
export const keyActor = (key: { id: string; workspace: string; scopes: readonly Scope[] }): Actor => ({
  principal: `key:${key.id}`,
  workspace: key.workspace,
  grants: new Set(key.scopes),
  roles: new Set(),
  projects: new Map(),
  ...rightsOfScopes(key.scopes),
});
