import type { Database } from './database.ts';
import type { Claim, TaskKey } from './execution.ts';
import { LEASE_MS, type LimitRequest } from './limits.ts';

type ClaimRequest = TaskKey & { epoch: number; token: string; deadlineMs?: number; limits?: readonly LimitRequest[] };
export type Claims = (request: ClaimRequest) => Promise<Claim>;

type Entry = { request: ClaimRequest; resolve: (claim: Claim) => void; reject: (error: unknown) => void };

/** Statements at once. The rest of the pool stays free: workflow tasks, which time out, wait for what loads a run. */
const LANES = 2;
const MAX_BATCH = 100;

/**
 * Claims effects. Claims of one run wait for each other's row lock anyway, so they go together, with one sync for all:
 * whatever arrives while a statement of the run is under way goes into the next one.
 */
export function createClaims(deps: { db: Pick<Database, 'rows'> }): Claims {
  const waiting = new Map<string, Entry[]>();
  const busy = new Set<string>();
  let scheduled = false;
  const pump = () => {
    scheduled = false;
    for (const [run, entries] of waiting) {
      if (busy.size >= LANES) return;
      if (busy.has(run)) continue;
      const batch = entries.splice(0, MAX_BATCH);
      if (entries.length === 0) waiting.delete(run);
      busy.add(run);
      void send(deps.db, run, batch).finally(() => {
        busy.delete(run);
        pump();
      });
    }
  };
  return (request) =>
    new Promise((resolve, reject) => {
      const entries = waiting.get(request.run) ?? [];
      entries.push({ request, resolve, reject });
      waiting.set(request.run, entries);
      if (scheduled) return;
      scheduled = true;
      setImmediate(pump); // what arrives together is claimed together
    });
}

/** Limits are locked by key within one claim: two of them in a statement could wait for each other across runs. */
async function send(db: Pick<Database, 'rows'>, run: string, batch: readonly Entry[]): Promise<void> {
  const free = batch.filter((entry) => !entry.request.limits);
  if (free.length > 0) await sendTogether(db, run, free);
  for (const entry of batch) if (entry.request.limits) await sendLimited(db, entry, entry.request.limits);
}

async function sendLimited(
  db: Pick<Database, 'rows'>,
  { request: r, resolve, reject }: Entry,
  limits: readonly LimitRequest[],
): Promise<void> {
  try {
    const [row] = await db.rows<{ claim: Claim }>({
      name: 'claim_limited',
      text: 'select claim_v2($1, $2, $3, $4, $5, $6, $7, $8, $9) as claim',
      values: [r.run, r.epoch, r.task, r.item, r.generation, r.token, r.deadlineMs ?? null, JSON.stringify(limits), LEASE_MS],
    });
    if (!row) throw new Error('claim_v2 gave no row');
    resolve(row.claim);
  } catch (error) {
    reject(error);
  }
}

async function sendTogether(db: Pick<Database, 'rows'>, run: string, batch: readonly Entry[]): Promise<void> {
  const requests = batch.map((entry) => entry.request);
  try {
    const rows = await db.rows<{ i: string; claim: Claim }>({
      name: 'claims',
      text: `select c.i, claim_v1($1, c.epoch, c.task, c.item, c.generation, c.token, c.deadline) as claim
        from unnest($2::int[], $3::int[], $4::int[], $5::int[], $6::uuid[], $7::float8[]) with ordinality c(epoch, task, item, generation, token, deadline, i)`,
      values: [
        run,
        requests.map((r) => r.epoch),
        requests.map((r) => r.task),
        requests.map((r) => r.item),
        requests.map((r) => r.generation),
        requests.map((r) => r.token),
        requests.map((r) => r.deadlineMs ?? null),
      ],
    });
    for (const { i, claim } of rows) batch[Number(i) - 1]?.resolve(claim);
  } catch (error) {
    for (const entry of batch) entry.reject(error);
  }
}
