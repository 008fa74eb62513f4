import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, Server as HttpServer } from 'node:http';
import { Server, type Socket } from 'socket.io';
import { z } from 'zod';
import type { Actor } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';
import type { RunEvent } from '../../domain/run/events.ts';
import { originOf as clientOf } from '../auth/origin.ts';
import type { Authenticated } from '../auth/authenticate.ts';
import { authenticateSocket } from '../auth/socketTickets.ts';
import type { Deps } from '../deps.ts';
import { readOrigins } from '../http/cors.ts';
import { quotaExceeded } from '../quota/quotaExceeded.ts';
import { presentProblem, toProblem, type ProblemBody } from '../http/problems.ts';
import { framesOf, sendFrames } from './frames.ts';
import { buffered, drained } from './pressure.ts';
import { authoriseTopic, type Followed } from './topics.ts';

/** Bytes that may wait for a slow socket before it is told to catch up. */
const BUFFER = 1024 * 1024;
const MAX_FRAME = 1024 * 1024;
const MAX_SUBSCRIPTIONS = 100;

type SocketData = Authenticated & { topics: Map<string, () => void> };
type TopicEvent = { topic: string; seq: number; type: string; at: string; runId?: string; data?: unknown };
type Run = Extract<Followed, { kind: 'run' }>['about'];
type States = Exclude<Followed, { kind: 'run' }>;
type Ack = { ok: true; seq: number } | { ok: false; problem: ProblemBody };
type ToClient = {
  event: (event: TopicEvent) => void;
  behind: (notice: { topic: string; seq: number }) => void;
  /** Why the server closes the socket. */
  closed: (problem: ProblemBody) => void;
};
type ToServer = { subscribe: (request: unknown, ack: unknown) => void; unsubscribe: (request: unknown, ack: unknown) => void };
type Client = Socket<ToServer, ToClient, Record<string, never>, SocketData>;
type Io = Server<ToServer, ToClient, Record<string, never>, SocketData>;

const subscription = z.strictObject({
  topic: z.string().max(200),
  after: z.int().min(0).default(0),
});

/** Socket.IO at `/socket.io`: topics `run:<id>` (every event, by number), `workspace:<id>` and `project:<id>` (latest states). */
export function createSockets(deps: Deps, server: HttpServer): { close: () => Promise<void>; count: () => number } {
  const io: Io = new Server(server, {
    path: '/socket.io',
    maxHttpBufferSize: MAX_FRAME,
    serveClient: false,
    ...originsOf(deps.config),
    pingInterval: 20_000,
  });
  deps.sockets.countOf = (workspace) => ownSockets(io.of('/').sockets, ({ actor }) => actor.workspace === workspace);
  io.use((socket, next) => {
    authenticate(deps, socket, io.of('/').sockets).then(
      () => {
        next();
      },
      (error: unknown) => {
        if (socket.handshake.auth.token !== undefined)
          deps.refusals.note({ actor: undefined, action: 'public', object: 'socket', origin: originOf(deps, socket) }, error);
        const problem = presentProblem(toProblem(error), randomUUID());
        next(Object.assign(new Error(problem.title), { data: problem }));
      },
    );
  });
  io.on('connection', (socket) => {
    socket.on(
      'subscribe',
      (request, ack) => void reply(ack, () => deps.walls.within(socket.data.actor.workspace, () => noted(deps, socket, request))),
    );
    socket.on('unsubscribe', (request, ack) => void reply(ack, () => unsubscribe(socket, request)));
    const unwatch = deps.watch(socket.data, {
      changed: (actor) => {
        socket.data.actor = actor;
      },
      ended: (problem) => {
        socket.emit('closed', presentProblem(problem, randomUUID()));
        socket.disconnect(true);
      },
    });
    socket.once('disconnect', () => {
      unwatch();
      for (const leave of socket.data.topics.values()) leave();
    });
  });
  tellNews(deps, io);
  return {
    count: () => io.of('/').sockets.size,
    close: async () => {
      await io.close(); // closes the HTTP server too
    },
  };
}

/** What the database has news of goes to who has asked for it. */
function tellNews(deps: Deps, io: Io): void {
  deps.rooms.onNews((run, events) => {
    const topic = `run:${run}`;
    const ids = io.of('/').adapter.rooms.get(topic);
    if (!ids) return;
    const frames = framesOf(topic, events);
    for (const id of ids) {
      const socket = io.of('/').sockets.get(id);
      if (socket) sendFrames(socket, frames);
    }
  });
  deps.workspaces.onRuns((workspace, runs) => {
    const at = new Date(deps.clock()).toISOString();
    const tell = (topic: string, changed: typeof runs) => {
      shed(io, topic);
      for (const run of changed)
        io.local.to(topic).emit('event', { topic, seq: run.lastSeq, type: 'run.progress', at, runId: run.id, data: run });
    };
    tell(`workspace:${workspace}`, runs);
    for (const [project, changed] of Map.groupBy(runs, (run) => run.projectId)) if (project !== null) tell(`project:${project}`, changed);
  });
}

/** Pages of this address and of listed origins; what is no page says no origin. The token decides all the same (ASVS 5.0.0, 4.4.2). */
function originsOf(config: Deps['config']) {
  const listed = readOrigins('TIU_CORS_ORIGINS', config.TIU_CORS_ORIGINS);
  const own =
    config.TIU_PUBLIC_URL !== undefined && URL.canParse(config.TIU_PUBLIC_URL) ? new URL(config.TIU_PUBLIC_URL).origin : undefined;
  const isOwn = ({ origin = '', host }: IncomingHttpHeaders) => origin === own || origin.replace(/^https?:\/\//, '') === host;
  return {
    cors: listed.size > 0 ? { origin: [...listed], credentials: true } : { origin: false },
    allowRequest: ({ headers }: IncomingMessage, answer: (error: string | null, allowed: boolean) => void) => {
      answer(null, headers.origin === undefined || listed.has(headers.origin) || isOwn(headers));
    },
  };
}

/** @throws Problem unauthenticated | overloaded | rate_limited | quota_exceeded */
async function authenticate(deps: Deps, socket: Client, open: ReadonlyMap<string, Client>): Promise<void> {
  const token: unknown = socket.handshake.auth.token;
  const who = await authenticateSocket(deps, typeof token === 'string' ? token : undefined);
  admit(deps, who.actor, open);
  const { workspace } = who.actor;
  const max = await deps.quotas.maxOf(workspace, 'sockets');
  const used = open.size < max ? 0 : deps.sockets.countOf(workspace);
  if (used >= max) throw quotaExceeded('sockets', { used, max });
  socket.data = { ...who, topics: new Map() };
}

function admit({ config }: Deps, { principal }: Actor, open: ReadonlyMap<string, Client>): void {
  if (open.size >= config.TIU_MAX_SOCKETS) throw new Problem('overloaded', { detail: 'Too many sockets', retryAfterMs: 1_000 });
  if (open.size < config.TIU_MAX_SOCKETS_PER_KEY) return;
  const own = ownSockets(open, ({ actor }) => actor.principal === principal);
  if (own >= config.TIU_MAX_SOCKETS_PER_KEY)
    throw new Problem('rate_limited', { detail: `At most ${config.TIU_MAX_SOCKETS_PER_KEY} sockets of a key`, retryAfterMs: 1_000 });
}

function ownSockets(open: ReadonlyMap<string, Client>, isOwn: (data: SocketData) => boolean): number {
  let own = 0;
  for (const { data } of open.values()) if (isOwn(data)) own += 1;
  return own;
}

async function reply(ack: unknown, act: () => Promise<number>): Promise<void> {
  const answer = await act().then(
    (seq): Ack => ({ ok: true, seq }),
    (error: unknown): Ack => ({ ok: false, problem: presentProblem(toProblem(error), randomUUID()) }),
  );
  if (typeof ack === 'function') (ack as (answer: Ack) => void)(answer);
}

const originOf = (deps: Deps, { request }: Client) => ({ request: null, address: clientOf(deps, request).ip });

async function noted(deps: Deps, socket: Client, request: unknown): Promise<number> {
  try {
    return await subscribe(deps, socket, request);
  } catch (error) {
    const { actor } = socket.data;
    deps.refusals.note({ actor, action: 'run.read', object: parse(request).topic, origin: originOf(deps, socket) }, error);
    throw error;
  }
}

function parse(request: unknown): z.output<typeof subscription> {
  const parsed = subscription.safeParse(request);
  if (parsed.success) return parsed.data;
  throw new Problem('invalid_request', { detail: parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ') });
}

async function subscribe(deps: Deps, socket: Client, request: unknown): Promise<number> {
  const { topic, after } = parse(request);
  const { topics } = socket.data;
  leave(socket, topic);
  if (topics.size >= MAX_SUBSCRIPTIONS) throw new Problem('rate_limited', { detail: `At most ${MAX_SUBSCRIPTIONS} topics per socket` });
  const followed = await authoriseTopic(deps, socket.data.actor, topic);
  return followed.kind === 'run'
    ? subscribeRun(deps, socket, { topic, run: followed.about, after })
    : subscribeStates(deps, socket, { topic, followed });
}

async function subscribeRun(
  deps: Deps,
  socket: Client,
  { topic, run, after }: { topic: string; run: Run; after: number },
): Promise<number> {
  const { topics } = socket.data;
  const send = (events: readonly RunEvent[]) => {
    sendFrames(socket, framesOf(topic, events));
  };
  const stop = await deps.rooms.follow(run, after, {
    events: send,
    live: () => void socket.join(topic),
    full: () => buffered(socket.conn) > BUFFER,
    drained: () => drained(socket.conn, BUFFER / 4),
    behind: (seq) => {
      deps.metrics.behind.inc();
      leave(socket, topic);
      socket.emit('behind', { topic, seq });
    },
  });
  topics.set(topic, stop);
  if (!socket.connected) stop();
  return run.last_seq;
}

/** The latest states of the runs of the workspace, or of a project in it. */
async function subscribeStates(deps: Deps, socket: Client, { topic, followed }: { topic: string; followed: States }): Promise<number> {
  const { kind, about } = followed;
  const stop = deps.workspaces.watch(about.workspace);
  socket.data.topics.set(topic, stop);
  const runs = await deps.workspaces.snapshot(about.workspace, kind === 'project' ? about.name : undefined);
  socket.emit('event', { topic, seq: 0, type: `${kind}.snapshot`, at: new Date(deps.clock()).toISOString(), data: { runs } });
  await socket.join(topic);
  if (!socket.connected) stop();
  return 0;
}

/** Slow readers of a topic without a log are dropped from it: they subscribe again and get a snapshot. */
function shed(io: Io, topic: string): void {
  for (const id of io.of('/').adapter.rooms.get(topic) ?? []) {
    const socket = io.of('/').sockets.get(id);
    if (!socket || buffered(socket.conn) <= BUFFER) continue;
    leave(socket, topic);
    socket.emit('behind', { topic, seq: 0 });
  }
}

function leave(socket: Client, topic: string): void {
  socket.data.topics.get(topic)?.();
  socket.data.topics.delete(topic);
  void socket.leave(topic);
}

function unsubscribe(socket: Client, request: unknown): Promise<number> {
  leave(socket, parse(request).topic);
  return Promise.resolve(0);
}
