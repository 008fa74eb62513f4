import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Readable as Stream } from 'node:stream';
import type { Execution } from '../../../src/activities/kinds/executor.ts';
import type { ArtifactRow } from '../../../src/activities/kinds/storedArtifact.ts';
import { Problem } from '../../../src/domain/problem.ts';
import type { ObjectStore } from '../../../src/providers/objectStore/objectStore.ts';

export const WORKSPACE = '00000000-0000-7000-8000-000000000001';
export const RUN = '01900000-0000-7000-8000-000000000002';

export const anExecution = (given: Partial<Execution> = {}): Execution => ({
  runId: RUN,
  workspace: WORKSPACE,
  taskId: 'task',
  item: -1,
  generation: 0,
  attempt: 1,
  key: `${RUN}/task/-/0`,
  signal: new AbortController().signal,
  ...given,
});

/** Objects and rows in memory. */
export function aMemoryStore() {
  const bytes = new Map<string, Buffer>();
  const rows: { workspace: string; artifact: ArtifactRow; holder: string }[] = [];
  const get = (workspace: string, sha256: string): Buffer => {
    const found = bytes.get(`${workspace}/${sha256}`);
    if (found === undefined) throw new Problem('artifact_not_found');
    return found;
  };
  const objects: ObjectStore = {
    put: async (workspace, given: Buffer | Readable) => {
      const content = Buffer.isBuffer(given) ? given : await buffer(given);
      const sha256 = createHash('sha256').update(content).digest('hex');
      bytes.set(`${workspace}/${sha256}`, content);
      return { sha256, size: content.length };
    },
    get: (workspace, sha256) => Promise.resolve().then(() => get(workspace, sha256)),
    open: (workspace, sha256) =>
      Promise.resolve().then(() => Object.assign(Stream.from([get(workspace, sha256)]), { size: get(workspace, sha256).length })),
    has: (workspace, sha256) => Promise.resolve(bytes.has(`${workspace}/${sha256}`)),
    delete: (workspace, sha256) => Promise.resolve(void bytes.delete(`${workspace}/${sha256}`)),
    list: () => Stream.from([]),
    sweep: () => Promise.resolve(0),
    isFull: () => false,
  };
  const recordArtifact = (workspace: string, artifact: ArtifactRow, holder: string) => {
    rows.push({ workspace, artifact, holder });
    return Promise.resolve();
  };
  return { objects, recordArtifact, rows };
}
