import { buffer } from 'node:stream/consumers';
import { LRUCache } from 'lru-cache';
import { Problem } from '../../domain/problem.ts';
import type { ObjectStore } from '../objectStore/objectStore.ts';
import { openArchive, type Archive } from './archive.ts';
import type { ArchiveLimits } from './limits.ts';

export type Archives = {
  /**
   * The archive of an artifact; read and unpacked once while it is in use.
   * @throws Problem artifact_not_found | artifact_too_large | invalid_archive
   */
  of: (workspace: string, sha256: string) => Promise<Archive>;
};

export type ArchivesOptions = {
  objects: Pick<ObjectStore, 'open'>;
  limits?: Partial<ArchiveLimits>;
  /** Of the artifact itself, bytes. */
  maxPacked?: number;
  /** Unpacked archives kept in memory, bytes; the largest legal archive should fit. */
  maxKept?: number;
  /** How long an archive is kept after its last use, ms. */
  keepMs?: number;
};

/** An entry costs about this much besides its content, so that many empty files count too, bytes. */
const ENTRY_COST = 512;

export function createArchives(options: ArchivesOptions): Archives {
  const { objects, maxPacked = 256 * 2 ** 20, maxKept = 320 * 2 ** 20, keepMs = 60_000 } = options;
  const kept = new LRUCache<string, Archive>({
    maxSize: maxKept,
    sizeCalculation: (archive) => 1 + archive.unpacked + archive.entries.length * ENTRY_COST,
    ttl: keepMs,
    ttlAutopurge: true,
    updateAgeOnGet: true,
  });
  const opening = new Map<string, Promise<Archive>>();

  const read = async (workspace: string, sha256: string) => {
    const stream = await objects.open(workspace, sha256);
    if (stream.size > maxPacked) {
      stream.destroy();
      throw new Problem('artifact_too_large', { data: { size: stream.size, max: maxPacked } });
    }
    return openArchive(await buffer(stream), options.limits);
  };

  return {
    of: (workspace, sha256) => {
      const key = `${workspace}/${sha256}`;
      const found = kept.get(key);
      if (found) return Promise.resolve(found);
      const started = opening.get(key) ?? read(workspace, sha256).finally(() => opening.delete(key));
      opening.set(key, started);
      return started.then((archive) => {
        kept.set(key, archive);
        return archive;
      });
    },
  };
}
