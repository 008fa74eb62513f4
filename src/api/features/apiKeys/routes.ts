import { z } from 'zod';
import type { Scope } from '../../../domain/access/actions.ts';
import { can, type Actor } from '../../../domain/access/can.ts';
import { rightsOfScopes } from '../../../domain/access/roles.ts';
import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { createApiKey, findApiKey, listApiKeys, prefixOf, revokeApiKey, type ApiKeyInfo } from '../../../db/repositories/apiKeys.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { listOf, maybeTime, page, scope, text, time } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';

const ApiKey = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    prefix: z.string().meta({ description: 'What the key begins with' }),
    scopes: z.array(scope),
    account: z.string().nullable().meta({ format: 'uuid', description: 'The person it belongs to; null = nobody in particular' }),
    createdAt: time,
    expiresAt: maybeTime,
    lastUsedAt: maybeTime.meta({ description: 'By the minute' }),
  })
  .meta({ id: 'ApiKey' });
const NewApiKey = ApiKey.extend({
  key: z.string().nullable().meta({ description: 'Shown here and never again; null when the answer is replayed' }),
}).meta({ id: 'NewApiKey' });
const createRequest = z
  .strictObject({
    name: text(100),
    scopes: z.array(scope).min(1),
    expiresAt: z.iso.datetime({ offset: true }).optional().meta({ description: 'Without it the key stays until it is revoked' }),
  })
  .meta({ id: 'CreateApiKey' });

const tag = 'api keys';
const presentKey = (key: ApiKeyInfo) => ({
  id: key.id,
  name: key.name,
  prefix: prefixOf(key.id),
  scopes: key.scopes,
  account: key.account,
  createdAt: iso(key.created),
  expiresAt: maybeIso(key.expires),
  lastUsedAt: maybeIso(key.lastUsed),
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/api-keys',
  action: 'key.read',
  cost: 'read',
  tag,
  summary: 'Keys, newest first',
  description: "Those of the workspace, or one's own for who may not see the others'.",
  request: { query: z.strictObject(page) },
  responses: { 200: { description: 'A page', schema: listOf(ApiKey).meta({ id: 'ApiKeyList' }) } },
  handler: async ({ deps, actor, query }) => {
    const before = fromCursor(query.cursor, UUID);
    const mayAll = can(actor, 'key.read', { workspace: actor.workspace });
    if (!mayAll && actor.account === undefined) throw new Problem('forbidden');
    const account = mayAll ? undefined : actor.account;
    const rows = await listApiKeys(deps.db, { workspace: actor.workspace, account, before, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.id);
    return { status: 200, body: { items: shown.map(presentKey), nextCursor } };
  },
});

const create = defineRoute({
  method: 'post',
  path: '/api/v1/api-keys',
  action: 'key.create',
  cost: 'write',
  tag,
  summary: 'Make a key',
  description:
    'A key may be given only what its maker has. That of a person belongs to them: it never has more rights than they have, ends with them, and makes no keys.',
  request: { query: z.strictObject({}), body: { schema: createRequest } },
  responses: { 201: { description: 'Made', schema: NewApiKey, headers: { location: 'The key' } } },
  problems: ['quota_exceeded', 'idempotency_mismatch', 'idempotency_in_progress', 'reauthentication_required'],
  idempotency: 'stored',
  handler: async ({ deps, actor, body }) => {
    const { name, scopes, expiresAt } = body;
    if (actor.session) requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
    const beyond = scopes.filter((wanted) => !mayHandOn(actor, wanted));
    if (beyond.length > 0)
      throw new Problem('forbidden', { detail: `${actor.session ? 'Your role' : 'The key'} has not: ${beyond.join(', ')}` });
    if (actor.account !== undefined && scopes.includes('keys:manage')) throw invalidField('/scopes', 'the key of a person makes no keys');
    const expires = expiresAt === undefined ? undefined : new Date(expiresAt);
    if (expires && expires.getTime() <= deps.clock()) throw invalidField('/expiresAt', 'is past');
    await deps.quotas.check(actor.workspace, 'api_keys');
    const { account } = actor;
    const made = await createApiKey(deps.db, {
      ...{ workspace: actor.workspace, by: actor.principal, name, scopes },
      ...(account !== undefined && { account }),
      ...(expires && { expires }),
    });
    const shown = presentKey(made);
    return {
      status: 201,
      body: { ...shown, key: made.key },
      replay: { ...shown, key: null },
      headers: { location: `/api/v1/api-keys/${made.id}` },
    };
  },
});

/** A person may hand on what they have a part of, as the key never has more than they. */
const mayHandOn = (actor: Actor, wanted: Scope): boolean =>
  actor.account === undefined ? actor.grants.has(wanted) : rightsOfScopes([wanted], actor).own.size > 0;

const revoke = defineRoute({
  method: 'delete',
  path: '/api/v1/api-keys/{id}',
  action: 'key.revoke',
  cost: 'write',
  tag,
  summary: 'Revoke a key',
  request: { params: z.object({ id: z.string() }), query: z.strictObject({}) },
  responses: { 204: { description: 'It is refused from now on, within a second everywhere' } },
  load: async ({ deps, actor, params }) => {
    const key = UUID.test(params.id) ? await findApiKey(deps.db, { workspace: actor.workspace, id: params.id }) : undefined;
    // what belongs to the person who asks is their own, whatever they ask with
    return (
      key && {
        id: key.id,
        workspace: key.workspace,
        ...(key.account !== null && key.account === actor.account && { owner: actor.principal }),
      }
    );
  },
  handler: async ({ deps, actor, resource }) => {
    const { id, workspace } = resource;
    if (!(await revokeApiKey(deps.db, { workspace, id, by: actor.principal }))) throw new Problem('not_found');
    deps.authenticate.forget(`key:${id}`);
    return { status: 204 };
  },
});

export const apiKeyRoutes: readonly Route[] = [list, create, revoke];
