import { Problem } from '../../domain/problem.ts';

export type ArchiveLimits = {
  maxEntries: number;
  /** All entries together, bytes. */
  maxUnpacked: number;
  /** Unpacked to packed size, looked at beyond `ratioFrom` unpacked bytes. */
  maxRatio: number;
  ratioFrom: number;
};

export const DEFAULT_LIMITS: ArchiveLimits = { maxEntries: 50_000, maxUnpacked: 256 * 2 ** 20, maxRatio: 200, ratioFrom: 16 * 2 ** 20 };

/** Counts what comes out of an archive of `packed` bytes. Both throw Problem artifact_too_large. */
export type Meter = { entry: () => void; bytes: (count: number) => void };

export function createMeter(limits: ArchiveLimits, packed: number): Meter {
  let entries = 0;
  let unpacked = 0;
  const refuse = (detail: string, max: number) => {
    throw new Problem('artifact_too_large', { detail, data: { max } });
  };
  return {
    entry: () => {
      entries += 1;
      if (entries > limits.maxEntries) refuse('The archive has too many entries', limits.maxEntries);
    },
    bytes: (count) => {
      unpacked += count;
      if (unpacked > limits.maxUnpacked) refuse('The archive is too large when unpacked', limits.maxUnpacked);
      if (unpacked > limits.ratioFrom && unpacked > packed * limits.maxRatio)
        refuse('The archive grows too much when unpacked', limits.maxRatio);
    },
  };
}

/**
 * The path of an entry without `./` and double slashes.
 * @throws Problem invalid_archive when it is absolute, climbs, or could mean another file on another system
 */
export function safePath(raw: string): string {
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  const hostile =
    raw.startsWith('/') || /[\0\\]/.test(raw) || /^[A-Za-z]:/.test(raw) || parts.includes('..') || raw.length > 4_096 || parts.length === 0;
  if (hostile)
    throw new Problem('invalid_archive', { detail: 'The archive has an entry with an unsafe path', data: { path: raw.slice(0, 200) } });
  return parts.join('/');
}
