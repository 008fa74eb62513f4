import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Action } from '../domain/access/actions.ts';
import type { Actor, Resource } from '../domain/access/can.ts';
import type { ProblemCode } from '../domain/problem.ts';
import type { RouteCost } from '../domain/rate/rateClasses.ts';
import type { Origin } from './auth/origin.ts';
import type { Deps } from './deps.ts';

type BodySpec<B extends z.ZodType> = {
  schema: B;
  /** Turns an `application/yaml` body into the shape that `schema` describes; without it YAML is refused. */
  fromYaml?: (text: string) => unknown;
  /** It is a form, as OAuth has them: `application/x-www-form-urlencoded` and nothing else. */
  form?: true;
};

/** What a handler is given: everything checked. */
export type Call<P, Q, B, R> = {
  deps: Deps;
  actor: Actor;
  /** Where it comes from. */
  origin: Origin;
  params: P;
  query: Q;
  body: B;
  resource: R;
  headers: IncomingMessage['headers'];
  /** The body as it came, of routes that check a signature over it. */
  bytes: Buffer;
  /** The raw request, for uploads. */
  raw: IncomingMessage;
  requestId: string;
  /** What fires when the client has gone or the process wants to end. */
  gone: () => AbortSignal;
  /** For handlers that read the body themselves, which may take long: asks once more. @throws Problem as the request would now */
  stillMay: () => Promise<void>;
  /** What fires when the caller may no longer, for answers that go on. */
  revoked: () => AbortSignal;
};

export type Reply = {
  status: number;
  /** An object is sent as JSON; text, bytes and streams as `type` says. */
  body?: unknown;
  type?: string;
  headers?: Record<string, string | string[]>;
  /** What an idempotent replay answers instead of `body`. */
  replay?: unknown;
};

type ResponseSpec = { description: string; schema?: z.ZodType; types?: readonly string[]; headers?: Record<string, string> };

type Definition<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends Resource> = {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `{name}` for parameters. */
  path: string;
  /** What the caller must be allowed to do; `public` = anybody; `self` = a person who has signed in, to what is theirs. */
  action: Action | 'public' | 'self';
  /** What its requests are counted as. */
  cost: RouteCost;
  summary: string;
  description?: string;
  tag: string;
  /** `signed`: JSON that the handler reads itself, once it has checked the signature over its bytes. */
  request?: { params?: P; query?: Q; body?: BodySpec<B>; upload?: true; signed?: true };
  responses: { [status: number]: ResponseSpec };
  /** Codes this route may answer with besides those every route has. */
  problems?: readonly ProblemCode[];
  /**
   * `stored`: an answer is kept with its Idempotency-Key and replayed. `own`: the handler keeps the promise itself.
   * Routes that repeat harmlessly have none.
   */
  idempotency?: 'stored' | 'own';
  /** The object the request is about, or where it is to be; undefined = 404. */
  load?: (
    call: Pick<Call<z.output<P>, z.output<Q>, z.output<B>, never>, 'deps' | 'actor' | 'params' | 'body' | 'headers' | 'gone'>,
  ) => Promise<R | undefined>;
  /** Also for who has not shown the second factor that is required of them: what leads there, and out. */
  beforeSecondFactor?: true;
  /** The request is about several objects: the handler asks `can` of each, the pipeline only whether there may be one. */
  each?: true;
  handler: (call: Call<z.output<P>, z.output<Q>, z.output<B>, R>) => Promise<Reply>;
};

/** A route whose types are erased: what the list holds and the pipeline runs. */
export type Route = Omit<Definition<z.ZodType, z.ZodType, z.ZodType, Resource>, 'load' | 'handler'> & {
  load?: (
    call: Pick<Call<never, never, never, never>, 'deps' | 'actor' | 'params' | 'body' | 'headers' | 'gone'>,
  ) => Promise<Resource | undefined>;
  handler: (call: Call<never, never, never, never>) => Promise<Reply>;
};

/** Describes a route; `pipeline.ts` runs it in the one fixed order and `openapi.ts` documents it. */
export const defineRoute = <
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
  R extends Resource = Resource,
>(
  definition: Definition<P, Q, B, R>,
): Route => definition;
