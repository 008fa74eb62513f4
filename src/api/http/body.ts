import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { Problem } from '../../domain/problem.ts';

/** Deepest nesting of a request body. */
const MAX_DEPTH = 200;

export type MediaType = 'json' | 'yaml' | 'form' | 'other';

const JSON_TYPES = new Set(['application/json', 'application/merge-patch+json']);
const YAML_TYPES = new Set(['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml']);

const FORM_TYPE = 'application/x-www-form-urlencoded';

const PLAIN_JSON = { kind: 'json', type: 'application/json', charset: 'utf-8' } as const;

export function mediaType(request: IncomingMessage): { kind: MediaType; type: string; charset: string } {
  if (request.headers['content-type'] === 'application/json') return PLAIN_JSON;
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '').split(';').map((part) => part.trim().toLowerCase());
  const charset =
    parameters
      .find((p) => p.startsWith('charset='))
      ?.slice('charset='.length)
      .replaceAll('"', '') ?? 'utf-8';
  return { kind: JSON_TYPES.has(type) ? 'json' : YAML_TYPES.has(type) ? 'yaml' : type === FORM_TYPE ? 'form' : 'other', type, charset };
}

export const hasBody = (request: IncomingMessage): boolean =>
  request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;

/**
 * Refuses by its headers what would not be read.
 * @param maxBytes of the body
 * @throws Problem payload_too_large | unsupported_media_type | malformed_request
 */
export function checkBodyHeaders(request: IncomingMessage, accepts: { types: readonly MediaType[]; maxBytes: number }): void {
  if (!hasBody(request)) return;
  if (accepts.types.length === 0) throw new Problem('unsupported_media_type', { detail: 'This request has no body' });
  if (Number(request.headers['content-length'] ?? 0) > accepts.maxBytes) throw tooLarge(accepts.maxBytes);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw new Problem('unsupported_media_type', { detail: `Content-Encoding ${printable(encoding)} is not supported` });
  if (accepts.types.includes('other')) return;
  const { kind, type, charset } = mediaType(request);
  if (!accepts.types.includes(kind)) {
    const wanted = accepts.types.map((accepted) => (accepted === 'form' ? FORM_TYPE : `application/${accepted}`)).join(' or ');
    throw new Problem('unsupported_media_type', { detail: `Expected ${wanted}, got ${printable(type || 'no Content-Type')}` });
  }
  if (charset !== 'utf-8' && charset !== 'utf8') {
    throw new Problem('unsupported_media_type', { detail: `Charset ${printable(charset)} is not supported; send UTF-8` });
  }
}

/** `hold` is asked before bytes are kept, and throws if there is no room for them. */
type BodyBound = { maxBytes: number; hold: (bytes: number) => void };

/** @throws Problem malformed_body */
export function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Problem('malformed_body', { detail: 'The body is not valid UTF-8' });
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.toString('utf8', 3) : bytes.toString('utf8');
}

/** @throws Problem payload_too_large | malformed_body, and what `hold` throws */
export function readBytes(request: IncomingMessage, { maxBytes, hold }: BodyBound): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (settle: () => void) => {
      request.off('data', take).off('end', whole).off('error', broken).off('close', broken);
      settle();
    };
    const take = (chunk: Buffer) => {
      size += chunk.length;
      try {
        if (size > maxBytes) throw tooLarge(maxBytes);
        hold(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        request.pause(); // nobody reads the rest
        finish(() => {
          reject(error instanceof Error ? error : new Error(String(error)));
        });
      }
    };
    const whole = () => {
      finish(() => {
        resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size));
      });
    };
    const broken = (error?: unknown) => {
      finish(() => {
        reject(new Problem('malformed_body', { detail: 'The body did not arrive in full', cause: error }));
      });
    };
    request.on('data', take).on('end', whole).on('error', broken).on('close', broken);
  });
}

/** Fields that come once are strings, repeated ones are lists, so that a schema decides which may repeat. @throws Problem malformed_request */
export function parseForm(text: string, what: string): Record<string, unknown> {
  const fields = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (value.includes('\0')) throw new Problem('malformed_request', { detail: `The ${what} holds U+0000` });
    fields.set(name, [...(fields.get(name) ?? []), value]);
  }
  return Object.fromEntries([...fields].map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}

/** A reviver that refuses integers which a double would round. Slow, so only used when the text has long digit runs. */
function exact(_: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined) return value;
  if (/^-?\d+$/.test(context.source))
    throw new Problem('number_out_of_range', { detail: `${context.source.slice(0, 40)} would be rounded` });
  return value;
}

/** @throws Problem malformed_body | number_out_of_range */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = /\d{16}/.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (error instanceof RangeError) throw new Problem('malformed_body', { detail: 'The JSON is nested too deep', cause: error });
    throw new Problem('malformed_body', { detail: `The body is not JSON${place(error, text)}`, cause: error });
  }
  if (mayBeDeep(text)) checkDepth(value);
  return value;
}

/** Brackets opened at once anywhere in the text, those inside strings too: a quick look that most bodies pass. */
function mayBeDeep(text: string): boolean {
  if (/\d[eE]\+?\d{3}|\d{300}/.test(text)) return true; // a number that may be infinite
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if ((code === CLOSE_BRACE || code === CLOSE_BRACKET) && depth > 0) depth -= 1;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];

function place(error: unknown, text: string): string {
  const at = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
  if (at === undefined) return '';
  const before = text.slice(0, Number(at)).split('\n');
  return ` (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`;
}

/** By level and without recursion, so that no depth can hurt. */
function checkDepth(root: unknown): void {
  let level: unknown[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw new Problem('malformed_body', { detail: `The body is nested deeper than ${MAX_DEPTH} levels` });
    if (level.some((value) => typeof value === 'number' && !Number.isFinite(value))) {
      throw new Problem('number_out_of_range', { detail: 'A number is too large' });
    }
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? (Object.values(value) as unknown[]) : []));
  }
}

const tooLarge = (maxBytes: number) => new Problem('payload_too_large', { detail: `At most ${maxBytes} bytes` });
const printable = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 80);
