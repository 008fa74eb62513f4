import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { Problem } from '../../domain/problem.ts';
import { isTar, packingOf } from './format.ts';
import { createMeter, DEFAULT_LIMITS, type ArchiveLimits } from './limits.ts';
import type { RawEntry } from './rawEntry.ts';
import { readTar } from './tar.ts';
import { unpackStream } from './unpack.ts';
import { readZip } from './zip.ts';

type ArchiveEntry = { path: string; size: number; sha256: string };

export type Archive = {
  /** Files only, sorted by path; links and devices are left out. */
  entries: readonly ArchiveEntry[];
  /** Bytes in memory. */
  unpacked: number;
  /** The bytes were no archive: they are the one entry, named `file`, and are read by any path. */
  single: boolean;
  /** @throws Problem artifact_entry_not_found */
  read: (path: string) => Buffer;
};

const SINGLE = 'file';

/**
 * Reads a tar, tar.gz, tar.zst or zip whole into memory; anything else is one file.
 * @throws Problem invalid_archive | artifact_too_large
 */
export async function openArchive(bytes: Buffer, limits: Partial<ArchiveLimits> = {}): Promise<Archive> {
  const meter = createMeter({ ...DEFAULT_LIMITS, ...limits }, bytes.length);
  const files: Files = new Map();
  const pause = createPause();
  let isSingle = false;
  try {
    for await (const { path, chunks, single } of entriesOf(bytes)) {
      meter.entry();
      await pause(ENTRY_WORK);
      isSingle = single === true;
      if (chunks === null) continue;
      const parts: Buffer[] = [];
      const hash = createHash('sha256');
      for await (const chunk of chunks) {
        meter.bytes(chunk.length);
        hash.update(chunk);
        parts.push(chunk);
        await pause(chunk.length);
      }
      const content = Buffer.concat(parts);
      files.set(path, { entry: { path, size: content.length, sha256: hash.digest('hex') }, content });
    }
  } catch (error) {
    throw error instanceof Problem ? error : new Problem('invalid_archive', { cause: error });
  }
  return toArchive(files, isSingle);
}

/** Work between two turns of the event loop, bytes hashed; an entry counts as so many. */
const TURN = 2 * 2 ** 20;
const ENTRY_WORK = 4_096;

/** Streams whose data is at hand go on without the event loop; this lets it turn now and then. */
function createPause(): (work: number) => Promise<void> {
  let done = 0;
  return async (work) => {
    done += work;
    if (done < TURN) return;
    done = 0;
    await setImmediate();
  };
}

type Files = Map<string, { entry: ArchiveEntry; content: Buffer }>;

function toArchive(files: Files, single: boolean): Archive {
  const entries = [...files.values()].map(({ entry }) => entry).sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    entries,
    unpacked: entries.reduce((sum, { size }) => sum + size, 0),
    single,
    read: (path) => {
      const file = files.get(single ? SINGLE : path);
      if (file === undefined) throw new Problem('artifact_entry_not_found', { data: { path: path.slice(0, 200) } });
      return file.content;
    },
  };
}

async function* entriesOf(bytes: Buffer): AsyncGenerator<RawEntry> {
  const packing = packingOf(bytes);
  if (packing === 'zip') yield* readZip(bytes);
  else if (packing === 'none') yield* isTar(bytes) ? readTar(slices(bytes)) : oneFile(bytes);
  else yield* readPacked(bytes, packing);
}

/** A packed file that is no tar is that one file, as it is. */
async function* readPacked(bytes: Buffer, packing: 'gzip' | 'zstd'): AsyncGenerator<RawEntry> {
  const { head, rest } = await unpackStream(bytes, packing);
  if (isTar(head)) yield* readTar(rest);
  else yield* oneFile(bytes);
}

const SLICE = 1_048_576;

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += SLICE) yield bytes.subarray(at, at + SLICE);
}

function* oneFile(bytes: Buffer): Generator<RawEntry> {
  yield { path: SINGLE, chunks: Readable.from(slices(bytes), { objectMode: false }), single: true };
}
