import { createHash, randomUUID } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { access, mkdir, open, readFile, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { Problem } from '../../domain/problem.ts';

type StoredObject = { sha256: string; size: number };
type FoundObject = { workspace: string; sha256: string; modifiedMs: number };

/** Bytes by their content, apart per workspace. Everything rejects with Problem `unavailable` when the disk fails. */
export type ObjectStore = {
  /**
   * Durable when it resolves. The same bytes twice are one object.
   * @throws Problem artifact_too_large beyond the store's limit, storage_full; nothing is kept then
   */
  put: (workspace: string, bytes: Buffer | Readable) => Promise<StoredObject>;
  /** @throws Problem artifact_not_found */
  get: (workspace: string, sha256: string) => Promise<Buffer>;
  /** A stream with its size in bytes. @throws Problem artifact_not_found */
  open: (workspace: string, sha256: string) => Promise<Readable & { size: number }>;
  has: (workspace: string, sha256: string) => Promise<boolean>;
  /** No error when it is not there. */
  delete: (workspace: string, sha256: string) => Promise<void>;
  /** Every object with the time of its last put, ms since 1970; what comes and goes meanwhile may be missed. */
  list: () => AsyncIterable<FoundObject>;
  /** Removes what puts that never ended left behind before `ms` since 1970. @returns how many */
  sweep: (ms: number) => Promise<number>;
  /** Whether the last put failed for want of room. */
  isFull: () => boolean;
};

type ObjectStoreOptions = {
  /** Folder, made when needed; layout `<root>/<workspace>/<aa>/<sha256>`. */
  root: string;
  /** Of one object. */
  maxBytes?: number;
  /** Called before an object appears at its place, so that nobody deletes it at that moment. */
  claim?: (workspace: string, object: StoredObject) => Promise<void>;
};

export function createObjectStore(options: ObjectStoreOptions): ObjectStore {
  const { root, maxBytes = 2 ** 30, claim } = options;
  const incoming = path.join(root, '.incoming');
  let full = false;

  const placeOf = (workspace: string, sha256: string) => {
    if (!/^[0-9a-z][0-9a-z-]{0,63}$/i.test(workspace) || !/^[0-9a-f]{64}$/.test(sha256)) throw notFound(sha256);
    return path.join(root, workspace, sha256.slice(0, 2), sha256);
  };

  return {
    put: (workspace, bytes) =>
      guarded(async () => {
        const temporary = path.join(incoming, randomUUID());
        try {
          await mkdir(incoming, { recursive: true });
          const stored = await writeDurably(temporary, bytes, maxBytes);
          const place = placeOf(workspace, stored.sha256);
          await claim?.(workspace, stored);
          await settleAt(root, temporary, place);
          full = false;
          return stored;
        } catch (error) {
          if (isFull(error)) full = true;
          throw error;
        } finally {
          await rm(temporary, { force: true });
        }
      }),
    get: (workspace, sha256) => guarded(() => readFile(placeOf(workspace, sha256)), sha256),
    open: (workspace, sha256) =>
      guarded(async () => {
        const place = placeOf(workspace, sha256);
        const { size } = await stat(place);
        return Object.assign(createReadStream(place), { size });
      }, sha256),
    has: (workspace, sha256) =>
      guarded(async () =>
        access(placeOf(workspace, sha256), constants.R_OK).then(
          () => true,
          () => false,
        ),
      ),
    delete: (workspace, sha256) =>
      guarded(async () => {
        const place = placeOf(workspace, sha256);
        await rm(place, { force: true });
        await syncFolder(path.dirname(place)).catch(ignoreMissing);
      }),
    list: () => listIn(root),
    sweep: (ms) => guarded(() => removeOlder(incoming, ms)),
    isFull: () => full,
  };
}

async function* listIn(root: string): AsyncGenerator<FoundObject> {
  for (const workspace of await entriesOf(root)) {
    if (workspace.startsWith('.')) continue;
    for (const part of await entriesOf(path.join(root, workspace))) yield* listPart(path.join(root, workspace, part), workspace);
  }
}

async function* listPart(folder: string, workspace: string): AsyncGenerator<FoundObject> {
  for (const sha256 of await entriesOf(folder)) {
    const found = await stat(path.join(folder, sha256)).catch(ignoreMissing);
    if (found?.isFile() === true && /^[0-9a-f]{64}$/.test(sha256)) yield { workspace, sha256, modifiedMs: found.mtimeMs };
  }
}

const entriesOf = async (folder: string): Promise<string[]> => (await readdir(folder).catch(ignoreUnlisted)) ?? [];

async function removeOlder(folder: string, ms: number): Promise<number> {
  let removed = 0;
  for (const name of await entriesOf(folder)) {
    const found = await stat(path.join(folder, name)).catch(ignoreMissing);
    if (!found || found.mtimeMs >= ms) continue;
    await rm(path.join(folder, name), { force: true });
    removed++;
  }
  return removed;
}

async function writeDurably(file: string, bytes: Buffer | Readable, maxBytes: number): Promise<StoredObject> {
  const handle = await open(file, 'wx', 0o640);
  try {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of chunksOf(bytes)) {
      size += chunk.length;
      if (size > maxBytes) throw new Problem('artifact_too_large', { data: { max: maxBytes } });
      hash.update(chunk);
      await writeAll(handle, chunk);
    }
    await handle.sync();
    return { sha256: hash.digest('hex'), size };
  } finally {
    await handle.close();
  }
}

const CHUNK = 1_048_576;

/** A buffer is cut up so that hashing it never holds the event loop for long. */
async function* chunksOf(bytes: Buffer | Readable): AsyncGenerator<Buffer> {
  if (Buffer.isBuffer(bytes)) for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
  else for await (const chunk of bytes as AsyncIterable<Buffer | string>) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
}

async function writeAll(handle: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length;) at += (await handle.write(chunk, at)).bytesWritten;
}

/** The name is durable only once its folder is synced; a new folder only once its parent is. */
async function settleAt(root: string, temporary: string, place: string): Promise<void> {
  const folder = path.dirname(place);
  const made = await mkdir(folder, { recursive: true });
  await rename(temporary, place);
  await syncFolder(folder);
  if (made === undefined) return;
  for (let at = path.dirname(folder); at.length >= root.length; at = path.dirname(at)) await syncFolder(at);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const codeOf = (error: unknown): string => (typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '');
const notFound = (sha256: string) => new Problem('artifact_not_found', { data: { sha256: sha256.slice(0, 64) } });
const ignoreMissing = (error: unknown): undefined => {
  if (codeOf(error) !== 'ENOENT') throw error;
};
const ignoreUnlisted = (error: unknown): undefined => {
  if (codeOf(error) !== 'ENOTDIR') ignoreMissing(error);
};
const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(codeOf(error));

/** File system errors become problems without paths; those of the caller's stream stay as they are. */
async function guarded<T>(work: () => Promise<T>, sha256?: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' && sha256 !== undefined) throw notFound(sha256);
    if (isFull(error)) throw new Problem('storage_full', { cause: error });
    if (['EIO', 'EROFS', 'EMFILE', 'ENFILE', 'EACCES', 'EPERM', 'ENOTDIR', 'ENOENT'].includes(code))
      throw new Problem('unavailable', { detail: 'The object store cannot be used', cause: error });
    throw error;
  }
}
