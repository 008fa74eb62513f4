import type { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { findDefinition, listDefinitions, listVersions, storeDefinition } from '../../../db/repositories/definitions.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import { checkSystemKinds } from '../../../domain/access/systemKinds.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { checkDefinition, hashOf } from './checkDefinition.ts';
import { presentWorkflow } from './present.ts';
import { checkTriggers, storeTriggers } from './storeTriggers.ts';
import { Check, DefinitionBody, nameParams, pageQuery, versionQuery, Workflow, WorkflowDetail, WorkflowList } from './schemas.ts';

const tag = 'workflows';
const body = { schema: DefinitionBody, fromYaml: (definition: string) => ({ definition }) };

/** A definition comes bare, or as the only member `definition`. */
const sourceOf = (given: z.output<typeof DefinitionBody>): string | object => {
  const keys = Object.keys(given);
  return keys.length === 1 && keys[0] === 'definition' ? (given.definition as string | object) : given;
};

const check = defineRoute({
  method: 'post',
  path: '/api/v1/workflows/check',
  action: 'workflow.check',
  cost: 'read',
  tag,
  summary: 'All faults of a definition, or what it would become',
  request: { query: noQuery, body },
  responses: { 200: { description: 'The verdict; nothing is stored', schema: Check } },
  handler: ({ deps, body: given }) => Promise.resolve({ status: 200, body: checkDefinition(deps, sourceOf(given)) }),
});

const store = defineRoute({
  method: 'post',
  path: '/api/v1/workflows',
  action: 'workflow.store',
  cost: 'write',
  tag,
  summary: 'Store a definition as the next version of its name',
  request: { query: noQuery, body },
  responses: {
    200: { description: 'This content is stored already', schema: Workflow },
    201: { description: 'Stored', schema: Workflow, headers: { location: 'The workflow' } },
  },
  problems: [
    'invalid_definition',
    'too_many_schedules',
    'too_many_triggers',
    'project_archived',
    'not_found',
    'idempotency_mismatch',
    'idempotency_in_progress',
  ],
  idempotency: 'stored',
  handler: async ({ deps, actor, body: given }) => {
    const source = sourceOf(given);
    const { definition, plan, planHash, planText } = deps.definitions.compile(source);
    checkSystemKinds(plan, actor);
    const places = await checkTriggers(deps, actor, { definition, plan });
    const row = await storeDefinition(deps.db, {
      workspace: actor.workspace,
      name: definition.name,
      version: definition.version,
      title: definition.title,
      hash: hashOf(definition),
      source: typeof source === 'string' ? source : JSON.stringify(source),
      mediaType: typeof source === 'string' ? 'application/yaml' : 'application/json',
      plan: { hash: planHash, body: planText },
      by: actor.principal,
    });
    await storeTriggers(deps, actor, { definition, number: row.number, places });
    const shown = presentWorkflow(row);
    return { status: row.fresh ? 201 : 200, body: shown, headers: { location: shown.links.self } };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/workflows',
  action: 'workflow.read',
  cost: 'read',
  tag,
  summary: 'Stored workflows by name, the newest version of each',
  request: { query: pageQuery },
  responses: { 200: { description: 'A page', schema: WorkflowList } },
  handler: async ({ deps, actor, query }) => {
    const after = fromCursor(query.cursor, /^[a-z][a-z0-9-]{0,62}$/) ?? '';
    const rows = await listDefinitions(deps.db, { workspace: actor.workspace, after, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.name);
    return { status: 200, body: { items: shown.map(presentWorkflow), nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/workflows/{name}',
  action: 'workflow.read',
  cost: 'read',
  tag,
  summary: 'One workflow with its source',
  request: { params: nameParams, query: versionQuery },
  responses: { 200: { description: 'The newest version, or the one asked for by its number or version', schema: WorkflowDetail } },
  load: ({ deps, actor, params }) => findDefinition(deps.db, { workspace: actor.workspace, name: params.name, version: undefined }),
  handler: async ({ deps, actor, params, query, resource }) => {
    const asked = query.version;
    const version = asked !== undefined && /^\d{1,9}$/.test(asked) ? Number(asked) : asked;
    const row =
      version === undefined ? resource : await findDefinition(deps.db, { workspace: actor.workspace, name: params.name, version });
    if (!row) throw new Problem('not_found', { detail: 'The workflow has no such version' });
    return {
      status: 200,
      body: { ...presentWorkflow(row), source: row.source, mediaType: row.media_type },
      headers: { etag: `"${row.hash}"` },
    };
  },
});

const versions = defineRoute({
  method: 'get',
  path: '/api/v1/workflows/{name}/versions',
  action: 'workflow.read',
  cost: 'read',
  tag,
  summary: 'Versions of a workflow, newest first',
  request: { params: nameParams, query: pageQuery },
  responses: { 200: { description: 'A page', schema: WorkflowList } },
  load: ({ deps, actor, params }) => findDefinition(deps.db, { workspace: actor.workspace, name: params.name, version: undefined }),
  handler: async ({ deps, actor, params, query }) => {
    const before = Number(fromCursor(query.cursor, /^\d{1,9}$/) ?? 2 ** 31 - 1);
    const rows = await listVersions(deps.db, { workspace: actor.workspace, name: params.name, before, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => String(row.number));
    return { status: 200, body: { items: shown.map(presentWorkflow), nextCursor } };
  },
});

export const workflowRoutes: readonly Route[] = [check, store, list, read, versions];
