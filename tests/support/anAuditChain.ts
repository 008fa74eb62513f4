import { readChainState, readLinks, readStrays } from '../../src/db/auditChain.ts';
import type { Database } from '../../src/db/database.ts';
import type { Checkpoint } from '../../src/domain/audit/entry.ts';
import { createVerifier, type Verdict } from '../../src/domain/audit/verify.ts';
import { isSignedBy, sha256, type AuditKeys, type AuditPublicKey } from '../../src/providers/auditKeys/auditKeys.ts';
import { sealBatch } from '../../src/worker/auditSealer.ts';
import { silent } from '../worker/support/aWorker.ts';

type Rows = Pick<Database, 'rows'>;

const metrics = { auditSealed: { inc: () => undefined }, auditWaiting: { set: () => undefined } } as never;

/** What a sealer needs, of a clock that stands still. */
export const aSealer = (db: Rows, keys: Pick<AuditKeys, 'signed'>) => ({
  ...{ db, keys, metrics, log: silent },
  clock: { now: () => Date.UTC(2026, 10, 29), monotonic: () => 0 } as never,
});

/** Whether there are rows without a place. They wait for every transaction of the whole server that began before them, of other suites too. */
export const isPending = async (db: Rows): Promise<boolean> =>
  (
    await db.rows({
      name: '',
      text: 'select from audit a where not exists (select from audit_seal s where s.id = a.id) limit 1',
      values: [],
    })
  ).length > 0;

/** Seals all there is. */
export async function sealAll(db: Rows, keys: Pick<AuditKeys, 'signed'>, batch = { keep: true, limit: 1_000 }): Promise<void> {
  while ((await sealBatch(aSealer(db, keys), batch)) !== 0 || (await isPending(db)));
}

/** What whoever reads the whole database finds. @param apart checkpoints that were kept elsewhere */
export async function verifyDatabase(db: Rows, keys: readonly AuditPublicKey[], apart: readonly Checkpoint[] = []): Promise<Verdict> {
  const { head, cut, checkpoints, last } = await readChainState(db);
  const isSigned = keys.length === 0 ? undefined : (checkpoint: Checkpoint) => isSignedBy(keys, checkpoint);
  const verifier = createVerifier({ sha256, isSigned }, { head, cut, checkpoints: [...checkpoints, ...apart] });
  let after = cut?.seq ?? 0;
  for (let going = true; going;) {
    const links = await readLinks(db, { after, through: last, limit: 5_000 });
    for (const link of links) going = going && verifier.add(link);
    after = links.at(-1)?.seq ?? after;
    going = going && links.length > 0;
  }
  for (let next: string | null = '00000000-0000-0000-0000-000000000000'; next !== null;) {
    const strays: { seqs: number[]; next: string | null } = await readStrays(db, { after: next, limit: 5_000 });
    for (const seq of strays.seqs) verifier.stray(seq);
    ({ next } = strays);
  }
  return verifier.end();
}
