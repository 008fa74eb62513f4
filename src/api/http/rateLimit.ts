import { holderOf, RATE_CLASSES, readPolicies, type RateClass, type RouteCost } from '../../domain/rate/rateClasses.ts';
import { Problem } from '../../domain/problem.ts';
import type { Database } from '../../db/database.ts';
import { sweepRates, takeRates } from '../../db/rates.ts';
import type { Config } from '../../runtime/config.ts';
import { createRateBuckets, type Taken } from './rateBuckets.ts';

/** Whose tries are counted: `account:<id, or hash of a name that nobody has>`, `network:<network>`, `user:<id>`, `key:<id>`. */
type Try = { class: RateClass; key: string; cost?: number };

/** What a request is told of its limit, and the problem it ends with if that is reached. */
type Spent = { headers: Record<string, string>; refusal?: Problem };

export type Limits = {
  /**
   * Counts one try, before any work is done for it. No limit of its class and holder: nothing is counted.
   * @throws Problem rate_limited with the time until the next try
   */
  take: (of: Try) => Promise<void>;
  /** Counts a request under a key; undefined = it has no limit. A promise only when the database has to be asked. */
  spend: (cost: RouteCost, key: string) => Spent | Promise<Spent> | undefined;
  close: () => Promise<void>;
};

const SWEEP_MS = 60_000;

/** @throws Error that names a setting which cannot be read */
export function createLimits(deps: { db: Pick<Database, 'rows'>; now: () => number }, config: Config): Limits {
  const policies = new Map(
    (Object.keys(RATE_CLASSES) as RateClass[]).map((name) => [name, readPolicies(name, config[RATE_CLASSES[name].setting])]),
  );
  const buckets = createRateBuckets({ ask: (asks) => takeRates(deps.db, asks), now: deps.now });
  const sweep = setInterval(() => void sweepRates(deps.db).catch(() => undefined), SWEEP_MS);
  sweep.unref();
  const taken = (of: Try): Taken | Promise<Taken> | undefined => {
    const policy = policies.get(of.class)?.get(holderOf(of.key));
    return policy && buckets.take({ class: of.class, key: of.key, policy, exact: RATE_CLASSES[of.class].exact }, of.cost ?? 1);
  };
  return {
    take: async (of) => {
      const result = await taken(of);
      if (result && !result.granted) throw refusalOf(result);
    },
    spend: (cost, key) => {
      const result = cost === 'none' ? undefined : taken({ class: cost, key });
      return result instanceof Promise ? result.then(told) : result && told(result);
    },
    close: async () => {
      clearInterval(sweep);
      await buckets.close();
    },
  };
}

/** RateLimit fields (draft-ietf-httpapi-ratelimit-headers-11): the policy, and how it stands. */
function told(taken: Taken): Spent {
  const { name, limit, seconds } = taken.policy;
  const headers = {
    'ratelimit-policy': `"${name}";q=${limit};w=${seconds}`,
    ratelimit: `"${name}";r=${taken.remaining};t=${Math.ceil(taken.fullMs / 1000)}`,
  };
  return taken.granted ? { headers } : { headers, refusal: refusalOf(taken) };
}

function refusalOf({ policy: { name, limit, seconds }, nextMs }: Taken): Problem {
  return new Problem('rate_limited', {
    detail: `${name}: at most ${limit} in ${seconds} s`,
    data: { policies: [name] },
    retryAfterMs: Math.max(1, nextMs),
  });
}
