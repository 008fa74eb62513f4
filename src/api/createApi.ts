import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Router, { type RouterMiddleware } from '@koa/router';
import Koa, { type Context, type Next } from 'koa';
import { Problem } from '../domain/problem.ts';
import type { Deps } from './deps.ts';
import { runRoute } from './http/pipeline.ts';
import { allowOrigins } from './http/cors.ts';
import { inTurn } from './http/inTurn.ts';
import { answerRaw, presentProblem, problemHeaders, toProblem } from './http/problems.ts';
import { securityHeaders } from './http/security.ts';
import { createRouteTable } from './http/routeTable.ts';
import { routes } from './routes.ts';

const MAX_URL = 8_192;

/** The HTTP server of the product, not listening yet. `ending` fires when the process wants to end. */
export function createApi(deps: Deps, ending: AbortSignal): Server {
  const app = new Koa();
  app.silent = true;
  app.use(envelope(deps, ending)).use(allowOrigins(deps.config)).use(knownRoutes(deps)).use(routerOf(deps).routes()).use(fallback);
  const answer = app.callback();
  const handle = guarded(deps, (request, response) => void answer(request, response));
  const server = createServer(
    {
      maxHeaderSize: 32_768,
      headersTimeout: 15_000,
      requestTimeout: 120_000,
      keepAliveTimeout: 65_000, // longer than that of the usual load balancer, which else meets connections that just closed
      connectionsCheckingInterval: 5_000,
    },
    handle,
  );
  boundConnections(server, deps.config.TIU_MAX_CONNECTIONS);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    answerRaw(socket, new Problem(CLIENT_ERRORS[error.code ?? ''] ?? 'malformed_request'), randomUUID());
  });
  server.on('checkExpectation', handle);
  return server;
}

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

type Exchange = { request: IncomingMessage; response: ServerResponse };

/** Refuses what there is no room for, before its key is looked up and its body is read. How the process is stays visible. */
function guarded(deps: Deps, handle: Handle): Handle {
  const checked = ({ request, response }: Exchange, waitedMs: number) => {
    try {
      deps.pressure.check({ writes: request.method !== 'GET' && request.method !== 'HEAD', waitedMs });
    } catch (error) {
      refuse(deps, { request, response }, toProblem(error));
      return;
    }
    handle(request, response);
  };
  const begin = inTurn(checked, () => performance.now());
  return (request, response) => {
    if (request.url?.startsWith('/api/')) begin({ request, response });
    else handle(request, response);
  };
}

/** Most bytes of a refused body that are read and dropped to keep the connection. */
const DROPPED = 64 * 1024;

function refuse(deps: Deps, { request, response }: Exchange, problem: Problem): void {
  const requestId = randomUUID();
  const small = Number(request.headers['content-length'] ?? (request.headers['transfer-encoding'] === undefined ? 0 : Infinity)) <= DROPPED;
  if (small) request.resume();
  deps.metrics.refused.inc({ code: problem.code });
  const headers = {
    ...securityHeaders(deps.config),
    ...problemHeaders(problem),
    'x-request-id': requestId,
    ...(small ? {} : { connection: 'close' }),
  };
  response.writeHead(problem.status, headers).end(JSON.stringify(presentProblem(problem, requestId)));
}

/** One connection too many is told to come back, instead of waiting unheard. */
function boundConnections(server: Server, max: number): void {
  let open = 0;
  server.on('connection', (socket: Socket) => {
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
    if (open > max) answerRaw(socket, new Problem('overloaded', { detail: 'Too many connections', retryAfterMs: 1_000 }), randomUUID());
  });
}

const CLIENT_ERRORS: Readonly<Record<string, 'headers_too_large' | 'request_timeout'>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** Made once: with its stack it costs as much as the rest of a small request's bookkeeping. */
const GONE = new DOMException('The client has gone', 'AbortError');

/** Made for those that wait: most requests end before anybody could ask. */
function goneOf(response: ServerResponse, ending: AbortSignal): () => AbortSignal {
  let left: AbortController | undefined;
  return () => {
    if (left) return left.signal;
    const controller = (left = new AbortController());
    const leave = () => {
      ending.removeEventListener('abort', leave);
      controller.abort(GONE);
    };
    if (ending.aborted || response.closed) leave();
    else {
      ending.addEventListener('abort', leave);
      response.once('close', leave);
    }
    return controller.signal;
  };
}

/** First and last of every request: its id, what every answer carries, problems, one log line. */
const envelope = (deps: Deps, ending: AbortSignal) => {
  const always = Object.entries({ ...securityHeaders(deps.config), 'cache-control': 'no-store', vary: 'Accept, Authorization' });
  return async (ctx: Context, next: Next) => {
    const given = ctx.get('x-request-id');
    const requestId = /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
    ctx.state = { requestId, gone: goneOf(ctx.res, ending) };
    ctx.res.setHeader('x-request-id', requestId);
    for (const [name, value] of always) ctx.res.setHeader(name, value);
    const started = deps.clock();
    try {
      if (ctx.url.length > MAX_URL) throw new Problem('uri_too_long', { detail: `At most ${MAX_URL} characters` });
      if (decodeURI(ctx.path).includes('\0')) throw new Problem('malformed_request', { detail: 'The path holds U+0000' });
      await next();
    } catch (error) {
      fail(
        deps,
        ctx,
        error instanceof URIError ? new Problem('malformed_request', { detail: 'The path is not well encoded', cause: error }) : error,
      );
    }
    const route = (ctx as { _matchedRoute?: string })._matchedRoute ?? 'none';
    deps.metrics.requests.observe({ method: ctx.method, route, status: ctx.status }, (deps.clock() - started) / 1000);
  };
};

function fail(deps: Deps, ctx: Context, error: unknown): void {
  const problem = toProblem(error);
  const requestId = ctx.state.requestId as string;
  if (problem.code === 'overloaded' || problem.code === 'rate_limited') deps.metrics.refused.inc({ code: problem.code });
  else if (problem.status >= 500) deps.log.error({ requestId, code: problem.code, err: problem.cause ?? problem }, 'request.failed');
  ctx.status = problem.status;
  ctx.body = JSON.stringify(presentProblem(problem, requestId));
  ctx.set(problemHeaders(problem));
  // what is left of the body is not read: the connection cannot be used again
  if (!ctx.req.complete) ctx.set('connection', 'close');
}

/** Routes are looked up; the router, which knows what else there is under a path, would try every pattern. */
function knownRoutes(deps: Deps): Koa.Middleware {
  const find = createRouteTable(
    routes.map((route) => ({ method: route.method, path: route.path, label: labelOf(route.path), run: runRoute(deps, route) })),
  );
  return (ctx, next) => {
    const found = find(ctx.method, ctx.path);
    return found ? found.route.run(Object.assign(ctx, { _matchedRoute: found.route.label, params: { ...found.params } })) : next();
  };
}

const labelOf = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

function routerOf(deps: Deps): Router {
  const router = new Router();
  for (const route of routes) {
    router.register(labelOf(route.path), [route.method], runRoute(deps, route) as RouterMiddleware);
  }
  return router;
}

/** Reached when no route has path and method. */
function fallback(ctx: Context): never {
  const matched = (ctx.matched ?? []) as { methods: string[] }[];
  if (matched.length === 0) throw new Problem('not_found');
  const allow = [...new Set(matched.flatMap((layer) => layer.methods))].sort().join(', ');
  ctx.set('allow', allow);
  throw new Problem('method_not_allowed', { detail: `Allowed: ${allow}` });
}
