import type { Context } from 'koa';
import { can, mayEver, type Actor, type Resource } from '../../domain/access/can.ts';
import { NO_RIGHTS } from '../../domain/access/roles.ts';
import { Problem } from '../../domain/problem.ts';
import { withOrigin } from '../../db/audit.ts';
import { unauthenticated, type Authenticated } from '../auth/authenticate.ts';
import { tokenOf } from '../auth/cookies.ts';
import { originOf, type Origin } from '../auth/origin.ts';
import { notFound } from '../auth/refusals.ts';
import { requireSameSite } from '../auth/sameSite.ts';
import { requireSecondFactor } from '../auth/secondFactor.ts';
import type { Deps } from '../deps.ts';
import type { Call, Reply, Route } from '../route.ts';
import { checkBodyHeaders, hasBody, mediaType, parseForm, parseJson, readBytes, textOf, type MediaType } from './body.ts';
import { idempotencyKey, idempotent } from './idempotency.ts';
import { validate } from './validate.ts';

const SIGN_IN = '/api/v1/auth/';
const NOTHING = Buffer.alloc(0);
/** Characters of what a path names, in the audit. */
const MAX_NAMED = 200;
type RouteContext = Context & { params: Record<string, string> };
const NOBODY: Actor = { principal: 'public', workspace: '', grants: new Set(), roles: new Set(), projects: new Map(), ...NO_RIGHTS };

/** How a route is run. The order is the same for all of them, and only here. */
export const runRoute =
  (deps: Deps, route: Route) =>
  async (ctx: RouteContext): Promise<void> => {
    limits(deps, route, ctx);
    const origin = originOf(deps, ctx.req);
    await count(deps, { route, key: `network:${origin.network}` }, ctx);
    const seen = { request: ctx.state.requestId as string, address: origin.ip };
    const asked: { who?: Authenticated | undefined } = {};
    try {
      const who = (asked.who = await authenticate(deps, route, ctx));
      if (who) await count(deps, { route, key: who.actor.principal }, ctx);
      const act = () => withOrigin(seen, () => answer(deps, route, { ctx, who, origin }));
      // what is of a person or of nobody belongs to no workspace; all else sees the rows of one
      await (who && route.action !== 'self' ? deps.walls.within(who.actor.workspace, act) : act());
    } catch (error) {
      // who shows nothing has tried nothing
      if (asked.who ?? ctx.headers.authorization)
        deps.refusals.note({ actor: asked.who?.actor, action: route.action, object: objectOf(route, ctx), origin: seen }, error);
      throw error;
    }
  };

type Known = { ctx: RouteContext; who: Authenticated | undefined; origin: Origin };

async function answer(deps: Deps, route: Route, { ctx, who, origin }: Known): Promise<void> {
  const { text, ...input } = await read(deps, route, ctx);
  const actor = hasBody(ctx.req) ? await stillActor(deps, who) : (who?.actor ?? NOBODY);
  if (!route.beforeSecondFactor) requireSecondFactor(actor);
  const call: Omit<Call<unknown, unknown, unknown, unknown>, 'resource'> = {
    deps,
    actor,
    origin,
    ...input,
    headers: ctx.headers,
    raw: ctx.req,
    requestId: ctx.state.requestId as string,
    gone: ctx.state.gone as Call<never, never, never, never>['gone'],
    revoked: () => revokedOf(deps, ctx, who),
    stillMay: async () => {
      await authorise(route, { ...call, actor: await stillActor(deps, who) });
    },
  };
  const resource = await authorise(route, call);
  const act = () => route.handler({ ...call, resource } as Call<never, never, never, never>);
  const key = route.idempotency === 'stored' ? idempotencyKey(ctx.headers) : undefined;
  const reply =
    key === undefined ? await act() : await idempotent(deps, { actor, key, what: `${route.method} ${ctx.path}`, body: text }, act);
  present(ctx, reply);
}

/** Who asks, unless anybody may. Nobody signs in or out for a page of another site. */
async function authenticate(deps: Deps, route: Route, ctx: Context): Promise<Authenticated | undefined> {
  if (route.action !== 'public') return deps.authenticate(tokenOf(deps.config, ctx.req as { method: string; headers: typeof ctx.headers }));
  if (route.path.startsWith(SIGN_IN) && route.method !== 'get') requireSameSite(deps.config, { headers: ctx.headers, isProven: false });
  return undefined;
}

/** Who asks, once their body has come, which may take as long as they like: what has changed meanwhile counts. @throws Problem unauthenticated */
async function stillActor(deps: Deps, who: Authenticated | undefined): Promise<Actor> {
  if (!who) return NOBODY;
  const { actor } = await deps.authenticate.again(who.credential);
  if (actor.workspace !== who.actor.workspace) throw unauthenticated();
  return actor;
}

/** Fires when who asks may no longer. */
function revokedOf(deps: Deps, ctx: Context, who: Authenticated | undefined): AbortSignal {
  const controller = new AbortController();
  if (!who) return controller.signal;
  const end = deps.watch(who, {
    changed: () => undefined,
    ended: (problem) => {
      controller.abort(problem);
    },
  });
  ctx.res.once('close', end);
  return controller.signal;
}

/** Counts the request under a key and says how its limit stands. @throws Problem rate_limited */
async function count(deps: Deps, { route, key }: { route: Route; key: string }, ctx: Context): Promise<void> {
  const spent = deps.limits.spend(route.cost, key);
  if (!spent) return;
  const { headers, refusal } = await spent;
  for (const [name, value] of Object.entries(headers)) ctx.append(name, value);
  if (refusal) throw refusal;
}

/** What the audit says a refused request was about: the kind of its action, and what its path names. */
function objectOf({ action }: Route, { params, path }: RouteContext): string {
  const [named] = Object.values(params);
  return named === undefined ? `route:${path}` : `${action.split('.')[0] ?? ''}:${named.slice(0, MAX_NAMED)}`;
}

function limits(deps: Deps, route: Route, ctx: Context): void {
  checkBodyHeaders(ctx.req, { types: bodyTypes(route), maxBytes: maxBytes(deps, route) });
  if (ctx.headers.accept === undefined || ctx.headers.accept === '*/*') return;
  const offered = Object.values(route.responses).flatMap((response) => response.types ?? (response.schema ? ['application/json'] : []));
  if (offered.length > 0 && ctx.accepts(offered) === false) {
    throw new Problem('not_acceptable', { detail: `Offered: ${[...new Set(offered)].join(', ')}` });
  }
}

function bodyTypes({ request }: Route): MediaType[] {
  if (request?.upload) return ['other'];
  if (request?.body?.form) return ['form'];
  if (request?.body?.fromYaml) return ['json', 'yaml'];
  return request?.body || request?.signed ? ['json'] : [];
}

const maxBytes = (deps: Deps, route: Route): number => {
  if (route.request?.upload) return deps.config.TIU_MAX_UPLOAD;
  if (route.request?.signed) return deps.config.TIU_MAX_DELIVERY;
  return route.request?.body ? deps.config.TIU_MAX_BODY : 0;
};

async function read(deps: Deps, route: Route, ctx: RouteContext) {
  const body = route.request?.body;
  const present = (body !== undefined || route.request?.signed === true) && hasBody(ctx.req);
  const bytes = present ? await readBytes(ctx.req, { maxBytes: maxBytes(deps, route), hold: holdUntilClosed(deps, ctx) }) : NOTHING;
  const text = body === undefined ? '' : textOf(bytes);
  const isEmpty = text === '' && !(body?.fromYaml && isYaml(ctx));
  const parsed = validate({
    params: { schema: route.request?.params, value: ctx.params, prefix: '/path' },
    query: { schema: route.request?.query, value: queryOf(ctx), prefix: '/query' },
    body: { schema: body?.schema, value: isEmpty ? undefined : parserOf(ctx, body)(text), prefix: '' },
  });
  return { text, bytes, ...parsed };
}

const isYaml = (ctx: Context): boolean => mediaType(ctx.req).kind === 'yaml';

function parserOf(ctx: Context, body: NonNullable<Route['request']>['body']): (text: string) => unknown {
  if (body?.form) return (text) => parseForm(text, 'body');
  return body?.fromYaml && isYaml(ctx) ? body.fromYaml : parseJson;
}

/** Bytes of a body count until its answer has been sent. */
function holdUntilClosed(deps: Deps, ctx: Context): (bytes: number) => void {
  const releases: (() => void)[] = [];
  ctx.res.once('close', () => {
    for (const release of releases) release();
  });
  return (bytes) => {
    releases.push(deps.pressure.holdBody(bytes));
  };
}

const queryOf = (ctx: Context): Record<string, unknown> => (ctx.querystring === '' ? {} : parseForm(ctx.querystring, 'query'));

async function authorise(route: Route, call: { deps: Deps; actor: Actor; params: unknown }): Promise<Resource | undefined> {
  if (route.action === 'public') return undefined;
  const { actor } = call;
  if (route.action === 'self' && !actor.session) throw new Problem('forbidden', { detail: 'Only for people who have signed in' });
  const forbidden = () => new Problem('forbidden', { detail: `${who(actor)} may not ${route.action}` });
  if (!route.load) {
    if (route.each && route.action !== 'self' && mayEver(actor, route.action)) return { workspace: actor.workspace };
    if (route.action !== 'self' && !can(actor, route.action, { workspace: actor.workspace, owner: actor.principal })) throw forbidden();
    return { workspace: actor.workspace };
  }
  const { action } = route;
  if (action !== 'self' && !mayEver(actor, action)) throw forbidden();
  const resource = await route.load(call as Parameters<NonNullable<Route['load']>>[0]);
  // an object of another workspace is not told apart from one that does not exist
  if (resource?.workspace !== actor.workspace) throw notFound(resource);
  if (action !== 'self' && !can(actor, action, resource)) throw forbidden();
  return resource;
}

const who = (actor: Actor): string => (actor.principal.startsWith('key:') ? 'The key' : 'Your role');

function present(ctx: Context, reply: Reply): void {
  ctx.status = reply.status;
  for (const [name, value] of Object.entries(reply.headers ?? {})) ctx.set(name, value);
  if (reply.body === undefined) {
    ctx.body = null;
    ctx.status = reply.status;
    return;
  }
  ctx.type = reply.type ?? 'application/json';
  ctx.body = reply.type === undefined ? JSON.stringify(reply.body) : reply.body;
}
