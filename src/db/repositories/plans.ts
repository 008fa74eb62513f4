import { LRUCache } from 'lru-cache';
import type { Plan } from '../../domain/plan/plan.ts';
import type { Database } from '../database.ts';

export type Plans = { get: (hash: string) => Promise<Plan> };

/** Plans by the hex of their hash. Content never changes, so what was read once is kept while there is room. */
export function createPlans(db: Database): Plans {
  const known = new LRUCache<string, Plan>({ max: 200 });
  return {
    get: async (hash) => {
      const remembered = known.get(hash);
      if (remembered) return remembered;
      const rows = await db.rows<{ body: Plan }>({ name: 'plan_find', text: 'select body from plan where hash = $1', values: [Buffer.from(hash, 'hex')] });
      const plan = rows[0]?.body;
      if (!plan) throw new Error(`plan ${hash} is gone`);
      known.set(hash, plan);
      return plan;
    },
  };
}
