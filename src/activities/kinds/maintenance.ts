import { setTimeout as sleep } from 'node:timers/promises';
import { cutChain, oldPrefix } from '../../db/auditChain.ts';
import type { Database } from '../../db/database.ts';
import { adoptOrphans, deleteGarbage, markGarbage, type ObjectKey } from '../../db/garbage.ts';
import { forgetExports } from '../../db/personRequests.ts';
import {
  BEGIN,
  countDone,
  countsOf,
  dropPartitions,
  expireRuns,
  makePartitionsAhead,
  purgeRuns,
  sweepAccounts,
  sweepRecords,
} from '../../db/retention.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { restMs } from '../../domain/retention/policy.ts';
import type { AuditKeys } from '../../providers/auditKeys/auditKeys.ts';
import type { ObjectStore } from '../../providers/objectStore/objectStore.ts';
import type { Execution, Executor } from './executor.ts';
import { sweeperOf, systemOnly } from './systemOnly.ts';

/** How long things are kept. */
type Keep = {
  /** Closed runs, in workspaces that state nothing else; 0 = for ever. */
  runDays: number;
  /** 0 = for ever. */
  auditDays: number;
  /** Objects that nobody refers to: since they were last put. */
  objectsMs: number;
  /** Since they were marked: for those who have just found them. */
  markedMs: number;
};

export type MaintenanceDeps = {
  db: Pick<Database, 'rows' | 'pool'>;
  objects: Pick<ObjectStore, 'list' | 'sweep' | 'delete'>;
  keep: Keep;
  /** Sign where retention has cut the audit. */
  auditKeys: Pick<AuditKeys, 'signed'>;
  /** Milliseconds since 1970. */
  now: () => number;
};

const DAY_MS = 86_400_000;
/** Records in one statement. */
const RECORDS = 1_000;
/** Heads of runs in one transaction; their rows follow in batches of their own. */
const HEADS = 200;
/** Row locks held while as many files are deleted. */
const FILES = 20;

const numberOf = (value: Json | undefined, fallback: number): number => (typeof value === 'number' ? value : fallback);

/** Repeats `step` until it says that nothing is left, at `share` of the time. @throws the reason of the signal */
async function paced(input: JsonObject, signal: AbortSignal, step: () => Promise<boolean>): Promise<void> {
  const share = numberOf(input.share, 1);
  for (;;) {
    signal.throwIfAborted();
    const from = performance.now();
    if (!(await step())) return;
    const rest = restMs(performance.now() - from, share);
    if (rest > 0) await sleep(rest, undefined, { signal }).catch(() => undefined);
  }
}

export const createPartitions = ({ db }: MaintenanceDeps): Executor =>
  systemOnly(async (input) => ({ partitions: await makePartitionsAhead(db, numberOf(input.weeks, 8)) }));

export const createRecords = (deps: MaintenanceDeps): Executor =>
  systemOnly(async (input, execution) => {
    const { db } = deps;
    const sweeper = sweeperOf(execution);
    await paced(input, execution.signal, async () => {
      await sweepAccounts(db, RECORDS);
      await forgetExports(db, { account: null, limit: RECORDS });
      const gone = { ...(await sweepRecords(db, { limit: RECORDS })), audit: await cutAudit(deps) };
      await countDone(db, sweeper, gone);
      return gone.idempotency === RECORDS || gone.audit === RECORDS || gone.session === RECORDS;
    });
    return { idempotency: 0, worker: 0, audit: 0, session: 0, ...(await countsOf(db, sweeper)) };
  });

/** Cuts what is old from the beginning of the audit, and signs where it begins from then on. @returns how many rows went */
async function cutAudit({ db, keep, auditKeys, now }: MaintenanceDeps): Promise<number> {
  if (keep.auditDays === 0) return 0;
  const before = new Date(now() - keep.auditDays * DAY_MS);
  const old = await oldPrefix(db, { before, limit: RECORDS });
  if (!old) return 0;
  return cutChain(db, { cut: auditKeys.signed({ kind: 'cut', ...old, at: new Date(now()).toISOString() }), before });
}

/**
 * Heads first, then rows: a run is either there or not to be found. What was begun is in rows, and counts commit with what they
 * count, so that another attempt, or the next run, goes on where this one was lost.
 */
export const createSweep = ({ db, keep }: MaintenanceDeps): Executor =>
  systemOnly(async (input, execution) => {
    const sweeper = sweeperOf(execution);
    const batch = numberOf(input.batch, 2_000);
    let after: string | null = BEGIN;
    await paced(input, execution.signal, async () => {
      if (await purgeRuns(db, sweeper, batch)) return true;
      if (after === null) return false;
      after = await expireRuns(db, sweeper, { after, days: keep.runDays, limit: HEADS });
      return true;
    });
    const partitions = await dropPartitions(db, keep.runDays);
    await countDone(db, sweeper, Object.fromEntries(partitions.map((name) => [`partition:${name}`, 1])));
    const counts = Object.entries(await countsOf(db, sweeper));
    const isPartition = ([name]: [string, number]) => name.startsWith('partition:');
    return {
      deleted: Object.fromEntries(counts.filter((count) => !isPartition(count))),
      partitions: counts.filter(isPartition).map(([name]) => name.slice('partition:'.length)),
    };
  });

/** Files without rows first, so that they are marked and deleted with the others. */
export const createCollect = (deps: MaintenanceDeps): Executor =>
  systemOnly(async (input, execution) => {
    const { db, keep } = deps;
    const sweeper = sweeperOf(execution);
    const unfinished = await deps.objects.sweep(deps.now() - keep.objectsMs);
    await countDone(db, sweeper, { unfinished, orphans: await findOrphans(deps, input, execution) });
    let after: ObjectKey | null = null;
    let marking = true;
    await paced(input, execution.signal, async () => {
      if (marking) {
        ({ next: after } = await markGarbage(db, { after, graceMs: keep.objectsMs, limit: RECORDS }));
        marking = after !== null;
        return true;
      }
      const gone = await deleteGarbage(db, { graceMs: keep.objectsMs, settleMs: keep.markedMs, limit: FILES }, ({ workspace, sha256 }) =>
        deps.objects.delete(workspace, sha256),
      );
      await countDone(db, sweeper, { objects: gone.objects, bytes: gone.bytes });
      return gone.objects + gone.kept > 0;
    });
    return { objects: 0, bytes: 0, orphans: 0, unfinished: 0, ...(await countsOf(db, sweeper)) };
  });

type Found = { workspace: string; sha256: string; modifiedMs: number };

async function findOrphans({ db, objects, keep, now }: MaintenanceDeps, input: JsonObject, { signal }: Execution): Promise<number> {
  const before = now() - keep.objectsMs;
  const files: AsyncIterator<Found, unknown> = objects.list()[Symbol.asyncIterator]();
  let orphans = 0;
  await paced(input, signal, async () => {
    const found: Found[] = [];
    let next = await files.next();
    for (let seen = 1; next.done !== true; seen++, next = await files.next()) {
      if (next.value.modifiedMs < before) found.push(next.value);
      if (seen === RECORDS) break;
    }
    orphans += await adoptOrphans(db, found);
    return next.done !== true;
  });
  return orphans;
}
