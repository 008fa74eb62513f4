import type { Json } from '../../domain/json.ts';
import { encode, piecesOf } from '../../domain/run/storedValue.ts';
import type { ObjectStore } from './objectStore.ts';

/** Bytes of the whole JSON text of a value, stored parts in full. */
export function sizeOf(value: Json): number {
  const { text, parts } = encode(value);
  return parts.reduce((size, part) => size + part.size - JSON.stringify(part).length, Buffer.byteLength(text));
}

/** The whole JSON text of a value, stored parts read as they are needed. */
export async function* bytesOf(objects: Pick<ObjectStore, 'open'>, workspace: string, value: Json): AsyncGenerator<Buffer> {
  for (const piece of piecesOf(value)) {
    if (typeof piece === 'string') yield Buffer.from(piece);
    else yield* (await objects.open(workspace, piece.sha256)) as AsyncIterable<Buffer>;
  }
}
