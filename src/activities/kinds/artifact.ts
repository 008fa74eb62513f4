import type { Json } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import type { Archives } from '../../providers/archive/archives.ts';
import type { ObjectStore } from '../../providers/objectStore/objectStore.ts';
import type { Executor } from './executor.ts';
import { compileGlob } from './glob.ts';
import { artifactReference, storeArtifact, type StoreDeps } from './storedArtifact.ts';

/** Of what one task reads as its output, bytes. */
const MAX_READ = 8 * 2 ** 20;
const MAX_FILES = 50_000;

const globsOf = (value: Json | undefined) =>
  Array.isArray(value) ? value.filter((glob) => typeof glob === 'string').map(compileGlob) : [];

/** Files of an archive by globs, sorted by path. */
export function createArtifactList(deps: { archives: Archives }): Executor {
  return async (input, { workspace, signal }) => {
    const { sha256, name } = artifactReference(input.artifact);
    const include = globsOf(input.include);
    const exclude = globsOf(input.exclude);
    const { entries, single } = await deps.archives.of(workspace, sha256);
    signal.throwIfAborted();
    const wanted = (path: string) =>
      (include.length === 0 || include.some((matches) => matches(path))) && !exclude.some((matches) => matches(path));
    const named = single && name !== undefined ? entries.map((entry) => ({ ...entry, path: name })) : entries;
    const files = named.filter(({ path }) => wanted(path));
    if (files.length > MAX_FILES) throw new Problem('artifact_too_large', { detail: 'Too many files', data: { max: MAX_FILES } });
    return files.map(({ path, size, sha256: hash }) => ({ path, size, sha256: hash }));
  };
}

/** An artifact, or one file inside it, as text or JSON. */
export function createArtifactRead(deps: { archives: Archives; objects: Pick<ObjectStore, 'open'> }): Executor {
  return async (input, { workspace }) => {
    const { sha256 } = artifactReference(input.artifact);
    const bytes =
      typeof input.path === 'string'
        ? (await deps.archives.of(workspace, sha256)).read(input.path)
        : await readWhole(deps.objects, workspace, sha256);
    if (bytes.length > MAX_READ) throw tooLarge(bytes.length);
    const text = toText(bytes);
    return input.as === 'json' ? toJson(text) : text;
  };
}

const tooLarge = (size: number) =>
  new Problem('artifact_too_large', { detail: 'Too large to be the output of a task', data: { size, max: MAX_READ } });

async function readWhole(objects: Pick<ObjectStore, 'open'>, workspace: string, sha256: string): Promise<Buffer> {
  const stream = await objects.open(workspace, sha256);
  if (stream.size > MAX_READ) {
    stream.destroy();
    throw tooLarge(stream.size);
  }
  return Buffer.concat((await stream.toArray()) as Buffer[]);
}

function toText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Problem('invalid_task_output', { detail: 'The file is not UTF-8 text', cause });
  }
}

function toJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new Problem('invalid_task_output', { detail: 'The file is not JSON', cause });
  }
}

/** Text as it is, anything else as JSON, as an artifact. */
export function createArtifactWrite(deps: StoreDeps): Executor {
  return async (input, execution) => {
    const content = input.content ?? null;
    const isText = typeof content === 'string';
    const mediaType = typeof input.mediaType === 'string' ? input.mediaType : isText ? 'text/plain; charset=utf-8' : 'application/json';
    const bytes = Buffer.from(isText ? content : `${JSON.stringify(content, null, 2)}\n`);
    return storeArtifact(deps, execution, { bytes, mediaType, name: typeof input.name === 'string' ? input.name : execution.taskId });
  };
}
