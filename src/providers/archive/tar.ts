import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { safePath } from './limits.ts';
import type { RawEntry } from './rawEntry.ts';

const FILES = new Set(['file', 'contiguous-file']);

/** Files of a tar stream. A fault of the stream or of the format ends the iteration with it. */
export async function* readTar(chunks: Iterable<Buffer> | AsyncIterable<Buffer>): AsyncGenerator<RawEntry> {
  const unpack = extract();
  const source = Readable.from(chunks, { objectMode: false });
  const piped = pipeline(source, unpack);
  piped.catch(() => undefined); // The iteration below reports the same fault.
  try {
    for await (const entry of unpack) {
      const { name, type } = entry.header;
      if (FILES.has(type)) yield { path: safePath(name), chunks: entry as AsyncIterable<Buffer> };
      else yield { path: name, chunks: null };
      entry.resume();
    }
    await piped;
  } finally {
    source.destroy();
  }
}
