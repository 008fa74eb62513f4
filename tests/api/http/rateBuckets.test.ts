import { expect, test } from '@jest/globals';
import { createRateBuckets, type Taken } from '../../../src/api/http/rateBuckets.ts';
import type { RateGrant } from '../../../src/db/rates.ts';

test('what is let through before the database is told is bounded while it is being told, too', async () => {
  const told = Promise.withResolvers<RateGrant[]>();
  const buckets = createRateBuckets({ ask: () => told.promise, now: () => 0 });
  const policy = { name: 'read', limit: 1_000, seconds: 60 };
  const take = () => buckets.take({ class: 'read', key: 'key:1', policy, exact: false }, 1);
  const isAtOnce = (taken: Taken | Promise<Taken>) => !(taken instanceof Promise);
  const first = take();
  await Promise.resolve();
  await Promise.resolve(); // it is on its way
  const rest = Array.from({ length: 20 }, take);
  expect([first, ...rest].filter(isAtOnce)).toHaveLength(8);
  told.resolve([{ granted: 0, remaining: 0, fullMs: 1, nextMs: 1 }]);
  for (const taken of rest) await taken;
});
