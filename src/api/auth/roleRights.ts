import { isRole, rightsOfRole } from '../../domain/access/grants.ts';
import type { Rights } from '../../domain/access/roles.ts';
import { findRole } from '../../db/repositories/roles.ts';
import type { Deps } from '../deps.ts';
import { unknownRole } from './grantFields.ts';

/** Rights of a role that a request names. @throws Problem unknown_role */
export async function roleRights(deps: Pick<Deps, 'db'>, role: { workspace: string; name: string }): Promise<Rights> {
  if (isRole(role.name)) return rightsOfRole(role.name, null);
  const own = await findRole(deps.db, role);
  if (!own) throw unknownRole(role.name);
  return rightsOfRole(own.name, own.actions);
}
