import { pipeline, Transform, type Readable } from 'node:stream';
import { errors } from 'undici';
import { Problem } from '../../domain/problem.ts';
import { createAddressRules } from './addressRules.ts';
import { createGuardedAgent, type Resolve } from './guardedAgent.ts';

export type HttpSettings = {
  /** Private addresses that may be called: list of host:port and CIDR. */
  allow: string;
  /** Of a response body, bytes. */
  maxBodyBytes: number;
  /** Instead of the system's resolver. */
  resolve?: Resolve;
};

export type HttpRequest = {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Buffer | Readable | null;
  signal: AbortSignal;
};
/** `body` ends with Problem http_response_too_large beyond the limit; it must be read or destroyed. */
export type HttpResponse = { status: number; headers: Record<string, string>; body: Readable };

export type HttpClient = {
  /** @throws Problem http_address_refused | http_failed | invalid_task_input | the reason of the signal */
  send: (request: HttpRequest) => Promise<HttpResponse>;
  /** Ends idle connections; requests in flight finish. */
  close: () => Promise<void>;
};

/** Follows no redirect, uses no proxy, unpacks nothing. */
export function createHttpClient(settings: HttpSettings): HttpClient {
  const { maxBodyBytes } = settings;
  const agent = createGuardedAgent(createAddressRules(settings.allow), settings.resolve);
  return {
    send: async (request) => {
      const { origin, path } = targetOf(request.url);
      try {
        const { method, headers, body, signal } = request;
        const response = await agent.request({ origin, path, method: method, headers, body, signal });
        return { status: response.statusCode, headers: flatHeaders(response.headers), body: bounded(response.body, maxBodyBytes) };
      } catch (error) {
        throw toProblem(error, request.signal);
      }
    },
    close: () => agent.close(),
  };
}

/** The same stream, failing beyond the limit; a fault of the source becomes its own. */
function bounded(source: Readable, max: number): Readable {
  let size = 0;
  const limit = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      size += chunk.length;
      done(size > max ? new Problem('http_response_too_large', { data: { max } }) : null, chunk);
    },
  });
  return pipeline(source, limit, () => undefined);
}

function targetOf(url: string): { origin: string; path: string } {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new Problem('invalid_task_input', { detail: '`url` is not an http(s) address' });
  if (parsed.username !== '' || parsed.password !== '')
    throw new Problem('invalid_task_input', { detail: '`url` holds credentials; use a header' });
  return { origin: parsed.origin, path: parsed.pathname + parsed.search };
}

const flatHeaders = (headers: Record<string, string | string[] | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, [value].flat().join(', ')]])));

/** What a failed exchange means. Never tells more of the other side than a code. */
export function toProblem(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof Problem) return error;
  if (error instanceof errors.InvalidArgumentError)
    return new Problem('invalid_task_input', { detail: `The request is not valid: ${error.message}` });
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
  return new Problem('http_failed', { detail: `The HTTP request failed: ${code}`, data: { code }, cause: error });
}
