import type { Readable } from 'node:stream';
import { isObject, type Json } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import type { ObjectStore } from '../../providers/objectStore/objectStore.ts';
import type { Execution } from './executor.ts';

export type ArtifactRow = { sha256: string; size: number; mediaType: string; name: string };

/** Makes the row of a stored object and the reference of its holder; both may be there already. */
export type RecordArtifact = (workspace: string, artifact: ArtifactRow, holder: string) => Promise<void>;

export type StoreDeps = { objects: Pick<ObjectStore, 'put'>; recordArtifact: RecordArtifact };

/** Stores bytes for a run: the object first, then its row, so that no row points to nothing. */
export async function storeArtifact(
  deps: StoreDeps,
  execution: Pick<Execution, 'workspace' | 'runId'>,
  artifact: { bytes: Buffer | Readable; mediaType: string; name: string },
): Promise<ArtifactRow> {
  const stored = await deps.objects.put(execution.workspace, artifact.bytes);
  const row = { ...stored, mediaType: artifact.mediaType, name: artifact.name };
  await deps.recordArtifact(execution.workspace, row, `run:${execution.runId}`);
  return row;
}

/** The artifact that a field names: its hash with or without `sha256:`, or an object with it, as `artifact.write` returns. */
export function artifactReference(value: Json | undefined): { sha256: string; name?: string } {
  const stated = isObject(value) ? value.sha256 : value;
  const sha256 = typeof stated === 'string' ? stated.replace(/^sha256:/, '') : '';
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Problem('invalid_task_input', { detail: '`artifact` does not name an artifact' });
  return isObject(value) && typeof value.name === 'string' && value.name !== '' ? { sha256, name: value.name } : { sha256 };
}
