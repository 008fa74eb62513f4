import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

/** Unpacks on the thread pool. `head` is what the first 512 bytes hold; `rest` yields everything, head included, once. */
export async function unpackStream(bytes: Buffer, packing: 'gzip' | 'zstd'): Promise<{ head: Buffer; rest: AsyncGenerator<Buffer> }> {
  const packed = Readable.from([bytes], { objectMode: false });
  const unpacked = packed.pipe(packing === 'gzip' ? createGunzip() : createZstdDecompress());
  const chunks = unpacked[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first: Buffer[] = [];
  for (let size = 0; size < 512;) {
    const next = await chunks.next();
    if (next.done === true) break;
    first.push(next.value);
    size += next.value.length;
  }
  const head = Buffer.concat(first);
  return { head, rest: following(head, chunks) };
}

async function* following(head: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
}
