import { Readable } from 'node:stream';
import type { Database } from '../../db/database.ts';
import { personData } from '../../db/personData.ts';
import { findRequest, settleExport } from '../../db/personRequests.ts';
import { Problem } from '../../domain/problem.ts';
import type { ObjectStore } from '../../providers/objectStore/objectStore.ts';
import type { Executor } from './executor.ts';
import { systemOnly } from './systemOnly.ts';

export type PersonExportDeps = {
  db: Pick<Database, 'rows' | 'pool'>;
  objects: Pick<ObjectStore, 'put'>;
  /** How long it can be fetched. */
  exportMs: number;
};

/** Writes all that is kept of a person as one object, which its person alone can fetch. What was written before is not written again. */
export const createPersonExport = ({ db, objects, exportMs }: PersonExportDeps): Executor =>
  systemOnly(async (input, { signal }) => {
    const request = typeof input.request === 'string' ? await findRequest(db, input.request) : undefined;
    if (request?.kind !== 'export') throw new Problem('not_found', { detail: 'Nobody waits for this export any more' });
    if (request.size !== null) return { bytes: request.size };
    const stored = await objects.put(request.id, Readable.from(documentOf(db, request.account, signal)));
    await settleExport(db, { id: request.id, ...stored }, exportMs);
    return { bytes: stored.size };
  });

/** One JSON object with a list for each part, in pieces. */
async function* documentOf(db: Pick<Database, 'rows'>, account: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  let open: string | undefined;
  let first = true;
  yield Buffer.from(`{"format":"tiu.person/1"`);
  for await (const { part, items } of personData(db, account)) {
    signal.throwIfAborted();
    if (part !== open) yield Buffer.from(`${open === undefined ? '' : ']'},${JSON.stringify(part)}:[`);
    first = part !== open || first;
    open = part;
    if (items.length === 0) continue;
    const text = items.map((item) => JSON.stringify(item)).join(',\n');
    yield Buffer.from(`${first ? '' : ','}\n${text}`);
    first = false;
  }
  yield Buffer.from(']}\n');
}
