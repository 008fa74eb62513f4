import { Readable } from 'node:stream';
import { isObject, type Json, type JsonObject } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import { asJson, isStored, storedIn, StoredValue } from '../../domain/run/storedValue.ts';
import type { Outgoing } from '../../providers/http/circuits.ts';
import { toProblem, type HttpResponse } from '../../providers/http/httpClient.ts';
import type { ObjectStore } from '../../providers/objectStore/objectStore.ts';
import { bytesOf, sizeOf } from '../../providers/objectStore/storedBytes.ts';
import { createScrubber } from '../secrets/scrubber.ts';
import type { Execution, Executor } from './executor.ts';
import { checkedJson, decode, quoted, unquoted } from './jsonText.ts';
import { storeArtifact, type StoreDeps } from './storedArtifact.ts';
import { unexpectedStatus } from './unexpectedStatus.ts';

export type HttpDeps = Omit<StoreDeps, 'objects'> & {
  objects: Pick<ObjectStore, 'put' | 'open'>;
  http: Outgoing;
  now: () => number;
};

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
    const { signal, workspace } = execution;
    signal.throwIfAborted();
    const method = typeof input.method === 'string' ? input.method.toUpperCase() : 'GET';
    const { headers, body } = await requestOf(deps, input, execution);
    const expects = (status: number) => isExpected(input.expect, status);
    const response = await deps.http.send({ ...{ method, url: urlOf(input), headers, body, signal }, workspace, expects });
    if (!expects(response.status))
      throw await unexpectedStatus(response, { signal, now: deps.now(), chunks: withoutSecrets(execution, response.body) });
    return { status: response.status, headers: response.headers, body: await outputOf(deps, input, { response, execution }) };
  };
}

const urlOf = (input: JsonObject): string => (typeof input.url === 'string' ? input.url : '');

async function requestOf(
  deps: HttpDeps,
  input: JsonObject,
  { key, workspace }: Execution,
): Promise<{ headers: Record<string, string>; body: Buffer | Readable | null }> {
  const stated = isObject(input.headers) ? Object.entries(input.headers) : [];
  const headers: Record<string, string> = { 'idempotency-key': key, 'user-agent': 'tiu', 'accept-encoding': 'identity' };
  for (const [name, value] of stated) {
    const field = name.toLowerCase();
    if (FORBIDDEN.has(field) || field.startsWith('proxy-'))
      throw new Problem('invalid_task_input', { detail: `A task cannot set the header ${field}` });
    if (value !== null) headers[field] = typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
  if (input.body === undefined) return { headers, body: null };
  if (storedIn(input.body).length > 0) return { headers, body: await storedBody(deps, workspace, { headers, value: input.body }) };
  const isText = typeof input.body === 'string';
  headers['content-type'] ??= isText ? TEXT : JSON_TYPE;
  return { headers, body: Buffer.from(isText ? (input.body as string) : JSON.stringify(input.body)) };
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';

/** What the object store holds is sent from there. Its length is stated, except of text, which is unescaped on the way. */
async function storedBody(
  { objects }: HttpDeps,
  workspace: string,
  { headers, value }: { headers: Record<string, string>; value: Json },
): Promise<Readable> {
  const isText = isStored(value) && (await startsWithQuote(objects, workspace, value.sha256));
  headers['content-type'] ??= isText ? TEXT : JSON_TYPE;
  const bytes = bytesOf(objects, workspace, value);
  if (isText) return Readable.from(unquoted(bytes));
  headers['content-length'] = String(sizeOf(value));
  return Readable.from(bytes);
}

async function startsWithQuote(objects: Pick<ObjectStore, 'open'>, workspace: string, sha256: string): Promise<boolean> {
  const stream = await objects.open(workspace, sha256);
  for await (const chunk of stream as AsyncIterable<Buffer>) return chunk[0] === 0x22;
  return false;
}

function isExpected(expected: Json | undefined, status: number): boolean {
  const list = Array.isArray(expected) ? expected : ['2xx'];
  return list.some((one) => Number(one) === status || one === `${Math.floor(status / 100)}xx`);
}

/** Without the secrets of the task, also where the other side says them back. */
const withoutSecrets = ({ secrets }: Execution, chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> =>
  createScrubber(secrets)?.bytes(chunks) ?? chunks;

/** Bodies up to this many bytes are read; larger ones go to the object store as they come. */
const MAX_READ = 64 * 1024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

async function outputOf(
  deps: HttpDeps,
  input: JsonObject,
  { response, execution }: { response: HttpResponse; execution: Execution },
): Promise<Json> {
  const { headers, body } = response;
  try {
    if (input.as === 'artifact') {
      const mediaType = headers['content-type'] ?? 'application/octet-stream';
      const bytes = execution.secrets ? Readable.from(withoutSecrets(execution, body)) : body;
      return await storeArtifact(deps, execution, { bytes, mediaType, name: nameOf(urlOf(input)) });
    }
    const { start, more } = await begun(body);
    if (more)
      return await store(deps, execution, { chunks: withoutSecrets(execution, more), as: input.as === 'text' ? quoted : checkedJson });
    const text = decode(new TextDecoder('utf-8', { fatal: true }), start);
    return input.as === 'text' ? text : text.trim() === '' ? null : parse(text);
  } catch (error) {
    body.destroy();
    throw toProblem(error, execution.signal);
  }
}

/** The whole body if it is short; else `more` gives all of it, once. */
async function begun(body: Readable): Promise<{ start: Buffer; more?: AsyncIterable<Buffer> }> {
  const chunks = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  const read: Buffer[] = [];
  for (let size = 0; size <= MAX_READ;) {
    const next: IteratorResult<Buffer, unknown> = await chunks.next();
    if (next.done) return { start: Buffer.concat(read) };
    read.push(next.value);
    size += next.value.length;
  }
  const start = Buffer.concat(read);
  const rest = { [Symbol.asyncIterator]: () => chunks };
  return { start, more: joined(start.subarray(0, 3).equals(BOM) ? start.subarray(3) : start, rest) };
}

async function* joined(start: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield start;
  yield* rest;
}

async function store(
  deps: HttpDeps,
  { workspace }: Execution,
  { chunks, as }: { chunks: AsyncIterable<Buffer>; as: (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer> },
): Promise<Json> {
  const { sha256, size } = await deps.objects.put(workspace, Readable.from(as(chunks)));
  return asJson(new StoredValue(sha256, size));
}

function nameOf(url: string): string {
  const last = new URL(url).pathname.split('/').at(-1) ?? '';
  return last === '' ? 'response' : last.slice(0, 255);
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new Problem('http_response_invalid', { detail: 'The body is not JSON', cause });
  }
}
