import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { fromBuffer, type Entry, type Options, type ZipFile } from 'yauzl';
import { Problem } from '../../domain/problem.ts';
import { safePath } from './limits.ts';
import type { RawEntry } from './rawEntry.ts';

const openZip = promisify<Buffer, Options, ZipFile>(fromBuffer);
const MODE_TYPE = 0o170000;
const MODE_FILE = 0o100000;
const UNIX = 3;

/** Files of a zip. The sizes that it states are held to while reading. */
export async function* readZip(bytes: Buffer): AsyncGenerator<RawEntry> {
  const zip = await openZip(bytes, { lazyEntries: true, validateEntrySizes: true, decodeStrings: true });
  try {
    for (let entry = await nextEntry(zip); entry !== null; entry = await nextEntry(zip)) {
      if (!isFile(entry)) yield { path: entry.fileName, chunks: null };
      else yield { path: safePath(entry.fileName), chunks: await contentOf(zip, entry) };
    }
  } finally {
    zip.close();
  }
}

/** Rejects with what the reader reports. */
async function nextEntry(zip: ZipFile): Promise<Entry | null> {
  const done = new AbortController();
  const options = { signal: done.signal };
  const next = Promise.race([once(zip, 'entry', options).then(([entry]) => entry as Entry), once(zip, 'end', options).then(() => null)]);
  zip.readEntry();
  try {
    return await next;
  } finally {
    done.abort();
  }
}

/** Not a folder, and, where the archive was made on Unix, not a link or device. */
function isFile(entry: Entry): boolean {
  const mode = (entry.externalFileAttributes >>> 16) & MODE_TYPE;
  return !entry.fileName.endsWith('/') && (entry.versionMadeBy >>> 8 !== UNIX || mode === 0 || mode === MODE_FILE);
}

async function contentOf(zip: ZipFile, entry: Entry): Promise<Readable> {
  if ((entry.generalPurposeBitFlag & 1) === 1) throw new Problem('invalid_archive', { detail: 'The archive is encrypted' });
  return promisify<Entry, Readable>(zip.openReadStream.bind(zip))(entry);
}
