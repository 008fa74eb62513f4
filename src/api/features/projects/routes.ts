import { Problem } from '../../../domain/problem.ts';
import { changeProject, createProject, listProjects, type ProjectRow } from '../../../db/repositories/projects.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { loadProject } from './loadProject.ts';
import { ChangeProject, CreateProject, Project, ProjectList, projectParams, projectsQuery } from './schemas.ts';

const tag = 'projects';
const NAME = /^[a-z][a-z0-9-]{0,62}$/;

function presentProject(project: ProjectRow) {
  const self = `/api/v1/projects/${project.name}`;
  return {
    id: project.id,
    name: project.name,
    title: project.title,
    archivedAt: maybeIso(project.archived),
    createdAt: iso(project.created),
    createdBy: project.created_by,
    links: { self, members: `${self}/members`, runs: `/api/v1/runs?project=${project.name}` },
  };
}

const exists = (name: string): Problem => new Problem('project_exists', { detail: `The workspace has a project ${name}` });

const create = defineRoute({
  method: 'post',
  path: '/api/v1/projects',
  action: 'project.create',
  cost: 'write',
  tag,
  summary: 'Make a project',
  request: { query: noQuery, body: { schema: CreateProject } },
  responses: { 201: { description: 'Made', schema: Project, headers: { location: 'The project' } } },
  problems: ['project_exists', 'quota_exceeded', 'idempotency_mismatch', 'idempotency_in_progress'],
  idempotency: 'stored',
  handler: async ({ deps, actor, body }) => {
    const { workspace, principal: by } = actor;
    const max = deps.config.TIU_MAX_PROJECTS;
    const made = await createProject(deps.db, { workspace, name: body.name, title: body.title ?? null, by, max });
    if (made === 'exists') throw exists(body.name);
    if (made === 'full') throw new Problem('quota_exceeded', { detail: `At most ${max} projects` });
    const project = presentProject(made);
    return { status: 201, body: project, headers: { location: project.links.self } };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/projects',
  action: 'project.read',
  cost: 'read',
  tag,
  summary: 'Projects by name',
  request: { query: projectsQuery },
  responses: { 200: { description: 'A page', schema: ProjectList } },
  handler: async ({ deps, actor, query }) => {
    const after = fromCursor(query.cursor, NAME) ?? '';
    const page = { workspace: actor.workspace, archived: query.archived === 'true', after, limit: query.limit + 1 };
    const { rows, nextCursor } = pageOf(await listProjects(deps.db, page), query.limit, (row) => row.name);
    return { status: 200, body: { items: rows.map(presentProject), nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/projects/{project}',
  action: 'project.read',
  cost: 'read',
  tag,
  summary: 'One project',
  request: { params: projectParams, query: noQuery },
  responses: { 200: { description: 'The project', schema: Project } },
  load: loadProject,
  handler: ({ resource }) => Promise.resolve({ status: 200, body: presentProject(resource) }),
});

const change = defineRoute({
  method: 'patch',
  path: '/api/v1/projects/{project}',
  action: 'project.update',
  cost: 'write',
  tag,
  summary: 'Rename a project, or archive it, or take it out of the archive',
  request: { params: projectParams, query: noQuery, body: { schema: ChangeProject } },
  responses: { 200: { description: 'Changed', schema: Project } },
  problems: ['project_exists', 'state_conflict'],
  load: loadProject,
  handler: async ({ deps, actor, resource, body }) => {
    const changed = await changeProject(deps.db, resource, {
      name: body.name ?? resource.name,
      title: body.title === undefined ? resource.title : body.title,
      archived: body.archived ?? resource.archived !== null,
      by: actor.principal,
    });
    if (changed === 'exists') throw exists(body.name ?? resource.name);
    if (changed === 'changed') throw new Problem('state_conflict', { detail: 'The project was changed meanwhile' });
    return { status: 200, body: presentProject(changed) };
  },
});

export const projectRoutes: readonly Route[] = [create, list, read, change];
