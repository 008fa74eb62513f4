import { can, type Actor, type Resource } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';
import { findProject } from '../../db/repositories/projects.ts';
import type { Deps } from '../deps.ts';

/** Where a run is to be: in a project, by its id, or in none. */
export type StartPlace = Resource & { project: string | null };

type Starting = { deps: Pick<Deps, 'db'>; actor: Actor; body: { project?: string | undefined } | undefined };

/** The place that a request to start a run names, for `load`. @throws Problem not_found, project_archived */
export async function loadStartPlace({ deps, actor, body }: Starting): Promise<StartPlace> {
  const { workspace, principal: owner } = actor;
  const name = body?.project;
  if (name === undefined) return { workspace, owner, project: null };
  const project = await findProject(deps.db, { workspace, name });
  if (!project) throw new Problem('not_found', { detail: `No project ${name}` });
  if (project.archived !== null) throw new Problem('project_archived', { detail: `Nothing is started in the project ${name}` });
  return { workspace, owner, project: project.id };
}

/** The same of one run of several, and whether it may be started there. @throws Problem forbidden, not_found, project_archived */
export async function placeOf(call: Omit<Starting, 'body'>, body: Starting['body']): Promise<StartPlace> {
  const place = await loadStartPlace({ ...call, body });
  if (!can(call.actor, 'run.start', place)) throw new Problem('forbidden', { detail: 'You may not run.start there' });
  return place;
}
