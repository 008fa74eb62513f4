import { LRUCache } from 'lru-cache';
import type { Plan } from '../../domain/plan/plan.ts';
import type { Database } from '../database.ts';

type StoredPlan = { plan: Plan; text: string };
export type Plans = {
  get: (hash: string) => Promise<StoredPlan>;
  /** Spares the read of a plan that somebody has compiled. */
  know: (hash: string, stored: StoredPlan) => void;
};

/** Plans by the hex of their hash. Content never changes, so what was read once is kept while there is room. */
export function createPlans(db: Pick<Database, 'rows'>): Plans {
  const known = new LRUCache<string, StoredPlan>({ maxSize: 16 * 2 ** 20, sizeCalculation: ({ text }) => text.length });
  return {
    know: (hash, stored) => void known.set(hash, stored),
    get: async (hash) => {
      const remembered = known.get(hash);
      if (remembered) return remembered;
      const rows = await db.rows<{ body: string }>({
        name: 'plan_find',
        text: 'select body::text as body from plan where hash = $1',
        values: [Buffer.from(hash, 'hex')],
      });
      const text = rows[0]?.body;
      if (text === undefined) throw new Error(`plan ${hash} is gone`);
      const stored = { plan: JSON.parse(text) as Plan, text };
      known.set(hash, stored);
      return stored;
    },
  };
}
