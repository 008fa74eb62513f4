import { adoptEntries, readHead, readUnsealed, sealEntries, unsealedOf } from '../db/auditChain.ts';
import type { Database } from '../db/database.ts';
import { holdDuty, releaseDuty } from '../db/lease.ts';
import { leafOf, linkOf, type Checkpoint } from '../domain/audit/entry.ts';
import { sha256, type AuditKeys } from '../providers/auditKeys/auditKeys.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';

export type SealerDeps = {
  db: Pick<Database, 'rows'>;
  keys: Pick<AuditKeys, 'signed'>;
  log: Log;
  metrics: Pick<WorkerMetrics, 'auditSealed' | 'auditWaiting'>;
  clock: Clock;
  /** Id of this worker: holder of the duty. */
  worker: string;
};

const DUTY = 'audit';
const LEASE_MS = 5_000;
/** A lease is renewed when so much of it has passed, and by others looked for as often. */
const RENEW_MS = 1_500;
const PERIOD_MS = 500;
/** Entries of one commit. */
const BATCH = 1_000;
const WATCH_MS = 10_000;

/**
 * Gives audit rows their places in the chain, in batches, half a second after they were committed. One process at a time has the duty;
 * should two believe so, the head moves for one of them. What was sealed and what comes next stands in the database, so a process that
 * dies between two batches, or in one, loses nothing.
 * @param checkpointMs how often the head stays as a checkpoint
 */
export function startAuditSealer(deps: SealerDeps, checkpointMs: number): { stop: () => Promise<void> } {
  const state = { asked: -Infinity, held: false, kept: -Infinity, watched: -Infinity };
  const round = async (): Promise<boolean> => {
    const now = deps.clock.now();
    if (now - state.asked >= RENEW_MS) {
      state.held = await holdDuty(deps.db, { key: DUTY, holder: deps.worker, ms: LEASE_MS });
      state.asked = now;
    }
    if (!state.held) return false;
    if (now - state.watched >= WATCH_MS) {
      await watch(deps);
      state.watched = now;
    }
    const keep = now - state.kept >= checkpointMs;
    const sealed = await sealBatch(deps, { keep, limit: BATCH });
    if (sealed === undefined) state.held = false;
    else if (sealed > 0 && keep) state.kept = now;
    return sealed === BATCH;
  };
  const pump = createPump(round, createFaultLog(deps, 'audit.seal_failed'));
  const timer = setInterval(pump.kick, PERIOD_MS);
  const stop = async () => {
    clearInterval(timer);
    await pump.stop();
    await releaseDuty(deps.db, { key: DUTY, holder: deps.worker });
  };
  return { stop };
}

/** One batch in one commit. @param batch.keep the head stays as a checkpoint @returns how many entries; undefined: somebody else seals */
export async function sealBatch(
  deps: Pick<SealerDeps, 'db' | 'keys' | 'log' | 'metrics' | 'clock'>,
  batch: { keep: boolean; limit: number },
): Promise<number | undefined> {
  const after = await readHead(deps.db);
  const unsealed = await readUnsealed(deps.db, batch.limit);
  const last = unsealed.at(-1);
  if (!last) return 0;
  let previous = after.hash;
  const entries = unsealed.map((entry, i) => {
    previous = linkOf(sha256, { seq: after.seq + i + 1, previous, leaf: leafOf(sha256, entry) });
    return { id: entry.id, workspace: entry.workspace, hash: previous };
  });
  const statement = { kind: 'checkpoint', seq: after.seq + entries.length, hash: previous, at: isoOf(deps.clock) } as const;
  const head: Checkpoint = deps.keys.signed(statement);
  if (!(await sealEntries(deps.db, { after, entries, xid: last.xid, head, keep: batch.keep }))) return undefined;
  deps.metrics.auditSealed.inc(entries.length);
  // in the log it is kept apart from the database
  if (batch.keep) deps.log.info({ ...head }, 'audit.checkpoint');
  return entries.length;
}

const isoOf = (clock: Clock): string => new Date(clock.now()).toISOString();

async function watch({ db, log, metrics }: Pick<SealerDeps, 'db' | 'log' | 'metrics'>): Promise<void> {
  const adopted = await adoptEntries(db);
  if (adopted !== null) log.warn({ rows: adopted }, 'audit.restored');
  metrics.auditWaiting.set((await unsealedOf(db)).seconds);
}
