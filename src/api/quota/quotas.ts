import { LRUCache } from 'lru-cache';
import { QUOTAS, type QuotaName } from '../../domain/quota/quotas.ts';
import type { Database } from '../../db/database.ts';
import { foldUsage, readQuotas, readUsed, type CountedQuota } from '../../db/repositories/quotas.ts';
import type { Config } from '../../runtime/config.ts';
import { quotaExceeded } from './quotaExceeded.ts';
import { createRunQuota, type RunQuota } from './runQuota.ts';

export type Quotas = {
  /** How much a workspace may have. What operators set is believed for some seconds, here at once. */
  maxOf: (workspace: string, name: QuotaName) => Promise<number>;
  /** How much it has; of sockets the caller knows. */
  usedOf: (workspace: string, name: CountedQuota) => Promise<number>;
  /** Before something is added. @throws Problem quota_exceeded */
  check: (workspace: string, name: Exclude<CountedQuota, 'open_runs'>, adds?: number) => Promise<void>;
  /** Makes room for a run while it is being accepted. @throws Problem quota_exceeded */
  holdRun: RunQuota['hold'];
  /** Forgets what is believed of a workspace. */
  forget: (workspace: string) => void;
  close: () => Promise<void>;
};

const BELIEVED_MS = 5_000;
const FOLD_MS = 10_000;
const MAX_KNOWN = 10_000;

export function createQuotas(deps: { db: Pick<Database, 'rows'>; now: () => number }, config: Config): Quotas {
  const { db } = deps;
  const known = new LRUCache<string, Promise<ReadonlyMap<string, number>>>({ max: MAX_KNOWN, ttl: BELIEVED_MS, perf: { now: deps.now } });
  let folding: Promise<void> | undefined;
  const fold = setInterval(() => {
    folding ??= foldUsage(db).then(
      () => (folding = undefined),
      () => (folding = undefined),
    );
  }, FOLD_MS);
  fold.unref();
  const read = (workspace: string) => {
    const found = known.get(workspace);
    if (found) return found;
    const reading = readQuotas(db, workspace);
    known.set(workspace, reading);
    reading.catch(() => known.delete(workspace));
    return reading;
  };
  const maxOf = async (workspace: string, name: QuotaName) => (await read(workspace)).get(name) ?? config[QUOTAS[name].setting];
  const usedOf = (workspace: string, name: CountedQuota) => readUsed(db, { workspace, name, upTo: Number.MAX_SAFE_INTEGER });
  const runs = createRunQuota({
    ...{ now: deps.now, maxOf: (workspace) => maxOf(workspace, 'open_runs') },
    count: (workspace, upTo) => readUsed(db, { workspace, name: 'open_runs', upTo }),
  });
  return {
    maxOf,
    usedOf,
    check: async (workspace, name, adds = 1) => {
      const max = await maxOf(workspace, name);
      const used = await readUsed(db, { workspace, name, upTo: max + 1 });
      if (used + adds > max) throw quotaExceeded(name, { used, max });
    },
    holdRun: runs.hold,
    forget: (workspace) => {
      known.delete(workspace);
      runs.forget(workspace);
    },
    close: async () => {
      clearInterval(fold);
      await folding;
    },
  };
}
