import { HOOK_NAME } from '../../../domain/hook/hook.ts';
import { Problem } from '../../../domain/problem.ts';
import { deleteHook, findHook, listHooks, setHook, type HookRow } from '../../../db/repositories/hooks.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { checkHook } from './checkHook.ts';
import { receiveDelivery } from './receiveDelivery.ts';
import { Delivered, deliveryParams, Hook, HookList, hookParams, hooksQuery, SetHook } from './schemas.ts';

const tag = 'hooks';

const presentHook = (hook: HookRow) => ({
  id: hook.id,
  name: hook.name,
  event: { name: hook.event_name, key: hook.event_key },
  secret: hook.secret,
  scheme: hook.scheme,
  toleranceSeconds: hook.tolerance,
  createdAt: iso(hook.created),
  createdBy: hook.created_by,
  updatedAt: iso(hook.updated),
  updatedBy: hook.updated_by,
  links: { self: `/api/v1/hooks/${hook.name}`, deliver: `/api/v1/hooks/${hook.id}/${hook.name}` },
});

const loadHook = ({ deps, actor, params }: Pick<Call<{ name: string }, never, never, never>, 'deps' | 'actor' | 'params'>) =>
  findHook(deps.db, { workspace: actor.workspace, name: params.name });

const set = defineRoute({
  method: 'put',
  path: '/api/v1/hooks/{name}',
  action: 'hook.set',
  cost: 'write',
  tag,
  summary: 'Make a hook, or change one',
  description: 'Whoever knows its address and its secret may send events of this name without an API key.',
  request: { params: hookParams, query: noQuery, body: { schema: SetHook } },
  responses: { 200: { description: 'Set; its address stays', schema: Hook } },
  problems: ['too_many_hooks', 'secret_key_unknown', 'secret_not_opened'],
  handler: async ({ deps, actor, params, body }) => {
    const { workspace, principal: by } = actor;
    const { event, secret, scheme, toleranceSeconds: tolerance } = body;
    await checkHook(deps, { workspace, key: event.key, secret, scheme });
    const max = deps.config.TIU_MAX_HOOKS;
    const wanted = { workspace, name: params.name, event_name: event.name, event_key: event.key, scheme, secret, tolerance, by };
    const hook = await setHook(deps.db, wanted, max);
    if (!hook) throw new Problem('too_many_hooks', { detail: `At most ${max}` });
    return { status: 200, body: presentHook(hook) };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/hooks',
  action: 'hook.read',
  cost: 'read',
  tag,
  summary: 'Hooks by name',
  request: { query: hooksQuery },
  responses: { 200: { description: 'A page', schema: HookList } },
  handler: async ({ deps, actor, query }) => {
    const after = fromCursor(query.cursor, HOOK_NAME) ?? '';
    const rows = await listHooks(deps.db, { workspace: actor.workspace, after, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.name);
    return { status: 200, body: { items: shown.map(presentHook), nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/hooks/{name}',
  action: 'hook.read',
  cost: 'read',
  tag,
  summary: 'One hook',
  request: { params: hookParams, query: noQuery },
  responses: { 200: { description: 'The hook', schema: Hook } },
  load: loadHook,
  handler: ({ resource }) => Promise.resolve({ status: 200, body: presentHook(resource) }),
});

const remove = defineRoute({
  method: 'delete',
  path: '/api/v1/hooks/{name}',
  action: 'hook.delete',
  cost: 'write',
  tag,
  summary: 'Delete a hook; its events stay',
  request: { params: hookParams, query: noQuery },
  responses: { 204: { description: 'Nothing is taken at its address any more' } },
  load: loadHook,
  handler: async ({ deps, actor, resource }) => {
    await deleteHook(deps.db, { workspace: resource.workspace, name: resource.name, by: actor.principal });
    return { status: 204 };
  },
});

const deliver = defineRoute({
  method: 'post',
  path: '/api/v1/hooks/{id}/{name}',
  action: 'public',
  cost: 'delivery',
  tag,
  summary: 'A delivery of the outside: its signature is its right',
  description:
    'With `webhook-id`, `webhook-timestamp` and `webhook-signature`, or with `X-Hub-Signature-256`, as the hook says. The same delivery counts once, however often it comes.',
  request: { params: deliveryParams, query: noQuery, signed: true },
  responses: { 202: { description: 'It is durable', schema: Delivered } },
  problems: ['delivery_refused', 'event_mismatch', 'idempotency_mismatch', 'number_out_of_range'],
  handler: async ({ deps, params, headers, bytes }) => {
    const { id, name, key, at, runs } = await receiveDelivery(deps, { ...params, headers, body: bytes });
    return { status: 202, body: { id, event: { name, key }, at: iso(at), runs } };
  },
});

export const hookRoutes: readonly Route[] = [set, list, read, remove, deliver];
