import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { createApiKey, listApiKeys, revokeApiKey, type ApiKeyInfo } from '../../../db/repositories/apiKeys.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { listOf, maybeTime, page, scope, text, time } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';

const ApiKey = z
  .object({ id: z.string().meta({ format: 'uuid' }), name: z.string(), scopes: z.array(scope), createdAt: time, lastUsedAt: maybeTime })
  .meta({ id: 'ApiKey' });
const NewApiKey = ApiKey.extend({
  key: z.string().nullable().meta({ description: 'Shown here and never again; null when the answer is replayed' }),
}).meta({ id: 'NewApiKey' });

const tag = 'api keys';
const presentKey = (key: ApiKeyInfo) => ({
  id: key.id,
  name: key.name,
  scopes: key.scopes,
  createdAt: iso(key.created),
  lastUsedAt: maybeIso(key.lastUsed),
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/api-keys',
  action: 'key.read',
  tag,
  summary: 'Keys of the workspace, newest first',
  request: { query: z.strictObject(page) },
  responses: { 200: { description: 'A page', schema: listOf(ApiKey).meta({ id: 'ApiKeyList' }) } },
  handler: async ({ deps, actor, query }) => {
    const before = fromCursor(query.cursor, UUID);
    const rows = await listApiKeys(deps.db, { workspace: actor.workspace, before, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.id);
    return { status: 200, body: { items: shown.map(presentKey), nextCursor } };
  },
});

const create = defineRoute({
  method: 'post',
  path: '/api/v1/api-keys',
  action: 'key.create',
  tag,
  summary: 'Make a key',
  description: 'A key may be given only what its maker has.',
  request: {
    query: z.strictObject({}),
    body: { schema: z.strictObject({ name: text(100), scopes: z.array(scope).min(1) }).meta({ id: 'CreateApiKey' }) },
  },
  responses: { 201: { description: 'Made', schema: NewApiKey, headers: { location: 'The key' } } },
  problems: ['idempotency_mismatch', 'idempotency_in_progress'],
  idempotency: 'stored',
  handler: async ({ deps, actor, body }) => {
    const beyond = body.scopes.filter((wanted) => !actor.grants.has(wanted));
    if (beyond.length > 0) throw new Problem('forbidden', { detail: `The key has not: ${beyond.join(', ')}` });
    const made = await createApiKey(deps.db, { workspace: actor.workspace, by: actor.principal, ...body });
    const shown = presentKey(made);
    return {
      status: 201,
      body: { ...shown, key: made.key },
      replay: { ...shown, key: null },
      headers: { location: `/api/v1/api-keys/${made.id}` },
    };
  },
});

const revoke = defineRoute({
  method: 'delete',
  path: '/api/v1/api-keys/{id}',
  action: 'key.revoke',
  tag,
  summary: 'Revoke a key',
  request: { params: z.object({ id: z.string() }), query: z.strictObject({}) },
  responses: { 204: { description: 'It is refused from now on; other processes notice within a second' } },
  handler: async ({ deps, actor, params }) => {
    if (!UUID.test(params.id) || !(await revokeApiKey(deps.db, { workspace: actor.workspace, id: params.id, by: actor.principal })))
      throw new Problem('not_found');
    deps.authenticate.forget(`key:${params.id}`);
    return { status: 204 };
  },
});

export const apiKeyRoutes: readonly Route[] = [list, create, revoke];
