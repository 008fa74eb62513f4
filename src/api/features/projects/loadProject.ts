import { findProject, type ProjectRow } from '../../../db/repositories/projects.ts';
import type { Call } from '../../route.ts';

/** The project that a path names, for `load`. */
export const loadProject = ({
  deps,
  actor,
  params,
}: Pick<Call<{ project: string }, never, never, never>, 'deps' | 'actor' | 'params'>): Promise<ProjectRow | undefined> =>
  findProject(deps.db, { workspace: actor.workspace, name: params.project });
