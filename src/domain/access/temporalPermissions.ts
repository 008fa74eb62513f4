import { SYSTEM_WORKSPACE } from '../retention/policy.ts';
import type { Role } from './actions.ts';
import { isRole } from './grants.ts';

/** The scope that Temporal's default claim mapper takes for the whole cluster (in older texts: `system`). */
const CLUSTER = 'temporal-system';

const LEVELS: Readonly<Record<Role, 'read' | 'write' | 'admin'>> = {
  viewer: 'read',
  developer: 'write',
  project_manager: 'write',
  community_moderator: 'write',
  admin: 'admin',
  owner: 'admin',
};

/**
 * What a person may do in Temporal itself, as its default claim mapper reads the claim `permissions`. One namespace holds the runs
 * of all workspaces, so it is for members of the system workspace alone, while they act there; a role that a workspace has made
 * itself gives nothing.
 * @param place.role null = a member of no workspace
 */
export function temporalPermissions(place: { workspace: string; role: string | null }, namespace: string): string[] {
  if (place.workspace !== SYSTEM_WORKSPACE || place.role === null || !isRole(place.role)) return [];
  const level = LEVELS[place.role];
  // its authorizer looks names up in lower case
  return [...(level === 'admin' ? [`${CLUSTER}:admin`] : []), `${namespace.toLowerCase()}:${level}`];
}
