import type { RetryPolicy } from './plan.ts';

/**
 * Whether a failure is worth another try. `codes` of the policy replace what the kind declares; `except` wins over both.
 * @param tries attempts made so far that were not lost with their worker
 */
export function isWorthRetrying(policy: RetryPolicy | undefined, failure: { code: string; retryable: boolean }, tries: number): boolean {
  if (!policy || tries > policy.limit) return false;
  if (policy.except?.includes(failure.code)) return false;
  return policy.codes ? policy.codes.includes(failure.code) : failure.retryable;
}

/**
 * Attempts that count against the limit of retries: one that was lost with its worker is no try, and a round of a loop that
 * ended well needs no retry.
 * @param round how many rounds have
 */
export const triesOf = ({ attempt, losses, round }: { attempt: number; losses: number; round: number }): number => attempt - losses - round;

/**
 * Delay before the next try, ms: exponential, capped, then jittered downwards by up to its share.
 * @param tries attempts made so far, 1 or more
 * @param random in [0, 1)
 */
export function retryDelayMs(policy: RetryPolicy, tries: number, random: number): number {
  const delay = Math.min(policy.maxDelayMs, policy.delayMs * policy.backoff ** (tries - 1));
  return Math.round(delay * (1 - policy.jitter * random));
}
