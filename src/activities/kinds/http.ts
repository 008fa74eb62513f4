import { isObject, type Json, type JsonObject } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import { toProblem, type HttpClient, type HttpResponse } from '../../providers/http/httpClient.ts';
import type { Execution, Executor } from './executor.ts';
import { storeArtifact, type StoreDeps } from './storedArtifact.ts';

export type HttpDeps = StoreDeps & { http: Pick<HttpClient, 'send'>; now: () => number };

/** Of an unexpected answer's body that the failure keeps, bytes. */
const EXCERPT = 4_096;
/** Fields that belong to the connection, not to the task. */
const FORBIDDEN = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'keep-alive',
  'te',
  'trailer',
  'expect',
  'http2-settings',
]);

/** One request. Its key goes along as `idempotency-key`, so that the other side can tell a repeated attempt. */
export function createHttp(deps: HttpDeps): Executor {
  return async (input, execution) => {
    const { signal } = execution;
    signal.throwIfAborted();
    const method = typeof input.method === 'string' ? input.method.toUpperCase() : 'GET';
    const { headers, body } = requestOf(input, execution.key);
    const response = await deps.http.send({ method, url: urlOf(input), headers, body, signal });
    if (!expects(input.expect, response.status)) throw await unexpected(response, signal, deps.now());
    return { status: response.status, headers: response.headers, body: await outputOf(deps, input, { response, execution }) };
  };
}

const urlOf = (input: JsonObject): string => (typeof input.url === 'string' ? input.url : '');

function requestOf(input: JsonObject, key: string): { headers: Record<string, string>; body: Buffer | null } {
  const stated = isObject(input.headers) ? Object.entries(input.headers) : [];
  const headers: Record<string, string> = { 'idempotency-key': key, 'user-agent': 'tiu', 'accept-encoding': 'identity' };
  for (const [name, value] of stated) {
    const field = name.toLowerCase();
    if (FORBIDDEN.has(field) || field.startsWith('proxy-'))
      throw new Problem('invalid_task_input', { detail: `A task cannot set the header ${field}` });
    if (value !== null) headers[field] = typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
  if (input.body === undefined) return { headers, body: null };
  const isText = typeof input.body === 'string';
  headers['content-type'] ??= isText ? 'text/plain; charset=utf-8' : 'application/json';
  return { headers, body: Buffer.from(isText ? (input.body as string) : JSON.stringify(input.body)) };
}

function expects(expected: Json | undefined, status: number): boolean {
  const list = Array.isArray(expected) ? expected : ['2xx'];
  return list.some((one) => Number(one) === status || one === `${Math.floor(status / 100)}xx`);
}

/** The only statuses below 500 that may change by themselves (RFC 9110, 8470, 6585). */
const WORTH_ANOTHER_TRY = new Set([408, 425, 429]);

async function unexpected(response: HttpResponse, signal: AbortSignal, now: number): Promise<unknown> {
  const { status, headers } = response;
  const kept: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      kept.push(chunk);
      size += chunk.length;
      if (size >= EXCERPT) break;
    }
  } catch {
    if (signal.aborted) return signal.reason; // else: the status counts, not that its body broke off
  }
  response.body.destroy();
  const body = Buffer.concat(kept).subarray(0, EXCERPT).toString('utf8');
  const retryAfterMs = readRetryAfter(headers['retry-after'], now);
  return new Problem('http_status', {
    detail: `The answer was ${status}`,
    data: { status, headers, body },
    final: status < 500 && !WORTH_ANOTHER_TRY.has(status),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  });
}

const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

/** `Retry-After` in ms, 0 to a day; null when it is missing or neither seconds nor a date. @param now ms since 1970 */
export function readRetryAfter(value: string | undefined, now: number): number | null {
  if (value === undefined) return null;
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? null : Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms));
}

async function outputOf(
  deps: HttpDeps,
  input: JsonObject,
  { response, execution }: { response: HttpResponse; execution: Execution },
): Promise<Json> {
  const { headers, body } = response;
  try {
    if (input.as === 'artifact') {
      const mediaType = headers['content-type'] ?? 'application/octet-stream';
      return await storeArtifact(deps, execution, { bytes: body, mediaType, name: nameOf(urlOf(input)) });
    }
    const text = decode(Buffer.concat((await body.toArray()) as Buffer[]));
    return input.as === 'text' ? text : text.trim() === '' ? null : parse(text);
  } catch (error) {
    throw toProblem(error, execution.signal);
  }
}

function nameOf(url: string): string {
  const last = new URL(url).pathname.split('/').at(-1) ?? '';
  return last === '' ? 'response' : last.slice(0, 255);
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Problem('http_response_invalid', { detail: 'The body is not UTF-8 text', cause });
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new Problem('http_response_invalid', { detail: 'The body is not JSON', cause });
  }
}
