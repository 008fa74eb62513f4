import type { RatePolicy } from '../../domain/rate/rateClasses.ts';
import type { RateAsk, RateGrant } from '../../db/rates.ts';

/** What is known of a bucket after a take. `remaining` and `fullMs` are as of the last word of the database. */
export type Taken = { granted: boolean; policy: RatePolicy; remaining: number; nextMs: number; fullMs: number };

type BucketName = { class: string; key: string; policy: RatePolicy; exact: boolean };

export type RateBuckets = {
  /** @returns at once while the process has tokens, else when the database has answered @throws what the database throws */
  take: (name: BucketName, cost: number) => Taken | Promise<Taken>;
  /** Gives back what is not spent. */
  close: () => Promise<void>;
};

type Deps = { ask: (asks: readonly RateAsk[]) => Promise<RateGrant[]>; now: () => number };
type Waiting = { cost: number; resolve: (taken: Taken) => void; reject: (error: unknown) => void };
type Bucket = BucketName & {
  /** Taken in the database, not spent. */
  tokens: number;
  /** Spent, not yet taken there; and what of it is on its way. */
  debt: number;
  owed: number;
  /** Spent since the last look at how busy it is. */
  used: number;
  usedAt: number;
  remaining: number;
  fullAt: number;
  emptyUntil: number;
  waiting: Waiting[];
  asking: boolean;
};

/** Of its limit, what a process may hold unspent, and what it may let through before it is told: a twentieth each. */
const SHARE = 1 / 20;
const MAX_DEBT = 8;
const MAX_ASKS = 200;
/** Tokens of a bucket that nobody has used for this long are given back, ms. */
const IDLE_MS = 2_000;
const SWEEP_MS = 1_000;

/**
 * Tokens that this process has taken ahead of their use, so that an ordinary request waits for no statement. The busier a bucket
 * is, the more are taken at once. A limit is passed by at most the debt that each process may have, and never by exact buckets.
 */
export function createRateBuckets({ ask, now }: Deps): RateBuckets {
  const buckets = new Map<string, Bucket>();
  const pending = new Set<Bucket>();
  let flushing: Promise<void> | undefined;

  const flush = async () => {
    await Promise.resolve(); // what is asked in one turn is asked in one statement
    while (pending.size > 0) {
      const asked = [...pending].slice(0, MAX_ASKS).map((bucket) => {
        pending.delete(bucket);
        return sent(bucket);
      });
      await ask(asked.map((one) => one.ask)).then(
        (grants) => {
          for (const [i, one] of asked.entries()) settle(one, grants[i], now());
        },
        (error: unknown) => {
          for (const one of asked) fail(one, error);
        },
      );
      for (const { bucket } of asked) if (bucket.waiting.length > 0) request(bucket);
    }
    flushing = undefined;
  };
  const request = (bucket: Bucket) => {
    if (bucket.asking) return;
    bucket.asking = true;
    pending.add(bucket);
    flushing ??= flush();
  };
  const sweep = () => {
    for (const [id, bucket] of buckets) {
      bucket.used = Math.floor(bucket.used / 2);
      if (bucket.asking || bucket.usedAt > now() - IDLE_MS) continue;
      if (bucket.tokens > 0 || bucket.debt > 0) giveBack(bucket, request);
      else if (bucket.emptyUntil <= now()) buckets.delete(id);
    }
  };
  const timer = setInterval(sweep, SWEEP_MS);
  timer.unref();
  return {
    take: (name, cost) => takeFrom(bucketOf(buckets, name), { cost, now: now(), request }),
    close: async () => {
      clearInterval(timer);
      await flushing;
      for (const bucket of buckets.values()) giveBack(bucket, request);
      await flushing;
    },
  };
}

function bucketOf(buckets: Map<string, Bucket>, name: BucketName): Bucket {
  const id = `${name.class} ${name.key}`;
  const known = buckets.get(id);
  if (known) return known;
  const unknown = { tokens: 0, debt: 0, owed: 0, used: 0, usedAt: 0, remaining: name.policy.limit, fullAt: 0, emptyUntil: 0 };
  const bucket: Bucket = { ...name, ...unknown, waiting: [], asking: false };
  buckets.set(id, bucket);
  return bucket;
}

const share = ({ exact, policy }: Bucket): number => (exact ? 0 : Math.floor(policy.limit * SHARE));

function takeFrom(bucket: Bucket, take: { cost: number; now: number; request: (bucket: Bucket) => void }): Taken | Promise<Taken> {
  const { cost, now, request } = take;
  bucket.usedAt = now;
  if (cost > bucket.policy.limit) return answer(bucket, false, now);
  if (bucket.waiting.length === 0 && bucket.tokens >= cost) {
    bucket.tokens -= cost;
    bucket.used += cost;
    if (bucket.tokens * 2 < Math.min(bucket.used, share(bucket))) request(bucket);
    return answer(bucket, true, now);
  }
  if (bucket.emptyUntil > now) return answer(bucket, false, now);
  if (bucket.waiting.length === 0 && bucket.debt + bucket.owed + cost <= Math.min(MAX_DEBT, share(bucket))) {
    bucket.debt += cost;
    bucket.used += cost;
    request(bucket);
    return answer(bucket, true, now);
  }
  return new Promise((resolve, reject) => {
    bucket.waiting.push({ cost, resolve, reject });
    request(bucket);
  });
}

const answer = (bucket: Bucket, granted: boolean, now: number): Taken => ({
  granted,
  policy: bucket.policy,
  remaining: Math.max(0, bucket.tokens + bucket.remaining - bucket.debt),
  nextMs: Math.max(0, bucket.emptyUntil - now),
  fullMs: Math.max(0, bucket.fullAt - now),
});

type Sent = { bucket: Bucket; ask: RateAsk; waiting: Waiting[] };

function sent(bucket: Bucket): Sent {
  const { policy, debt } = bucket;
  const waiting = bucket.waiting.splice(0);
  const wanted = waiting.reduce((sum, { cost }) => sum + cost, 0);
  const ahead = Math.min(bucket.used * 2, share(bucket)) - bucket.tokens;
  bucket.debt = 0;
  bucket.owed = Math.max(0, debt);
  const want = wanted + (debt < 0 ? 0 : Math.max(0, ahead));
  return { bucket, waiting, ask: { class: bucket.class, key: bucket.key, limit: policy.limit, seconds: policy.seconds, debt, want } };
}

/** Tokens become a debt below zero. */
function giveBack(bucket: Bucket, request: (bucket: Bucket) => void): void {
  if (bucket.asking || (bucket.tokens === 0 && bucket.debt === 0)) return;
  bucket.debt -= bucket.tokens;
  bucket.tokens = 0;
  bucket.used = 0;
  request(bucket);
}

function settle({ bucket, ask, waiting }: Sent, grant: RateGrant | undefined, now: number): void {
  bucket.asking = false;
  bucket.owed = 0;
  bucket.tokens += grant?.granted ?? 0;
  bucket.remaining = grant?.remaining ?? 0;
  bucket.fullAt = now + (grant?.fullMs ?? 0);
  if ((grant?.granted ?? 0) < ask.want) bucket.emptyUntil = now + Math.max(1, grant?.nextMs ?? 0);
  for (const { cost, resolve } of waiting) {
    const granted = bucket.tokens >= cost;
    if (granted) {
      bucket.tokens -= cost;
      bucket.used += cost;
    }
    resolve(answer(bucket, granted, now));
  }
}

function fail({ bucket, ask, waiting }: Sent, error: unknown): void {
  bucket.asking = false;
  bucket.owed = 0;
  bucket.debt += ask.debt;
  for (const { reject } of waiting) reject(error);
}
