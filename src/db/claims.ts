import type { Database } from './database.ts';
import type { Claim, TaskKey } from './execution.ts';

type ClaimRequest = TaskKey & { epoch: number; token: string; deadlineMs?: number };
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

async function send(db: Pick<Database, 'rows'>, run: string, batch: readonly Entry[]): Promise<void> {
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
