import { Problem } from '../../domain/problem.ts';

/** `temporal.api.common.v1.Payload`, of which this is all that a codec sees. */
export type Payload = { metadata?: Record<string, Uint8Array> | null; data?: Uint8Array | null };

/** Field 1 (metadata, a map) and 2 (data), both length-delimited; within an entry of the map, key and value likewise. */
const FIRST = 0x0a;
const SECOND = 0x12;

/**
 * The Protobuf form of a payload, as every SDK writes it. By hand, because api and worker both need it and only the worker
 * has Temporal's packages.
 */
export function payloadToBytes(payload: Payload): Buffer {
  const parts: Uint8Array[] = [];
  for (const [name, value] of Object.entries(payload.metadata ?? {}))
    parts.push(...field(FIRST, Buffer.concat([...field(FIRST, Buffer.from(name)), ...field(SECOND, value)])));
  if (payload.data && payload.data.length > 0) parts.push(...field(SECOND, payload.data));
  return Buffer.concat(parts);
}

/** @throws Problem payload_not_opened */
export function payloadFromBytes(bytes: Buffer): Required<Payload> {
  const metadata: Record<string, Uint8Array> = {};
  let data: Uint8Array = new Uint8Array();
  for (const { tag, value } of fieldsOf(bytes)) {
    if (tag === SECOND) data = value;
    if (tag !== FIRST) continue;
    let name = '';
    let content: Uint8Array = new Uint8Array();
    for (const inner of fieldsOf(value)) {
      if (inner.tag === FIRST) name = inner.value.toString();
      else content = inner.value;
    }
    metadata[name] = content;
  }
  return { metadata, data };
}

function field(tag: number, value: Uint8Array): Uint8Array[] {
  const head = [tag];
  let length = value.length;
  for (; length > 0x7f; length = Math.floor(length / 0x80)) head.push((length & 0x7f) | 0x80);
  head.push(length);
  return [Uint8Array.from(head), value];
}

function* fieldsOf(bytes: Buffer): Generator<{ tag: number; value: Buffer }> {
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++] ?? 0;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) throw malformed();
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if ((tag !== FIRST && tag !== SECOND) || at + length > bytes.length) throw malformed();
    yield { tag, value: bytes.subarray(at, at + length) };
    at += length;
  }
}

const malformed = () => new Problem('payload_not_opened', { detail: 'A sealed payload does not hold a payload' });
