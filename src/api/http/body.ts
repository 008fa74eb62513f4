import type { IncomingMessage } from 'node:http';
import rawBody from 'raw-body';
import { Problem } from '../../domain/problem.ts';

/** Deepest nesting of a request body. */
const MAX_DEPTH = 200;

export type MediaType = 'json' | 'yaml' | 'other';

const JSON_TYPES = new Set(['application/json']);
const YAML_TYPES = new Set(['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml']);

export function mediaType(request: IncomingMessage): { kind: MediaType; type: string; charset: string } {
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '').split(';').map((part) => part.trim().toLowerCase());
  const charset =
    parameters
      .find((p) => p.startsWith('charset='))
      ?.slice('charset='.length)
      .replaceAll('"', '') ?? 'utf-8';
  return { kind: JSON_TYPES.has(type) ? 'json' : YAML_TYPES.has(type) ? 'yaml' : 'other', type, charset };
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
    const wanted = accepts.types.map((accepted) => `application/${accepted}`).join(' or ');
    throw new Problem('unsupported_media_type', { detail: `Expected ${wanted}, got ${printable(type || 'no Content-Type')}` });
  }
  if (charset !== 'utf-8' && charset !== 'utf8') {
    throw new Problem('unsupported_media_type', { detail: `Charset ${printable(charset)} is not supported; send UTF-8` });
  }
}

/** @throws Problem payload_too_large | malformed_body */
export async function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const bytes = await rawBody(request, { limit: maxBytes, length: request.headers['content-length'] ?? null }).catch((error: unknown) => {
    const type = (error as { type?: string }).type;
    if (type === 'entity.too.large') throw tooLarge(maxBytes);
    throw new Problem('malformed_body', { detail: 'The body did not arrive in full', cause: error });
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Problem('malformed_body', { detail: 'The body is not valid UTF-8', cause: error });
  }
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
  checkDepth(value);
  return value;
}

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
