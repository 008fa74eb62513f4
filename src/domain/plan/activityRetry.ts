import type { RetryPolicy } from './plan.ts';
import { isWorthRetrying } from './retry.ts';

/** A retry policy in Temporal's words, times in ms. */
export type ActivityRetry = {
  maximumAttempts: number;
  initialInterval: number;
  backoffCoefficient: number;
  maximumInterval: number;
  nonRetryableErrorTypes: string[];
};

/** How the server calls timeouts among the failures that are final. */
const TIMEOUTS = ['TemporalTimeout:StartToClose', 'TemporalTimeout:Heartbeat'];
const FAILED = { code: 'activity_failed', retryable: true };
const TIMED_OUT = { code: 'task_timed_out', retryable: true };
const KNOWN: ReadonlySet<string> = new Set([FAILED.code, TIMED_OUT.code]);

type Choice = { codes?: string[] | undefined; except?: string[] | undefined };

/** Whether a choice of codes can be told to Temporal: it cannot hold back failures and repeat timeouts. */
export function isForTemporal({ codes, except = [] }: Choice): boolean {
  const repeats = ({ code }: { code: string }): boolean => !except.includes(code) && (codes?.includes(code) ?? true);
  return (codes ?? []).every((code) => KNOWN.has(code)) && (repeats(FAILED) || !repeats(TIMED_OUT));
}

/**
 * How Temporal repeats an activity of a user's. It knows no jitter. A policy by name may ask for what it cannot be told
 * (see `isForTemporal`): then nothing is repeated.
 */
export function activityRetry(policy: RetryPolicy | undefined): ActivityRetry {
  const repeats = (failure: typeof FAILED): boolean => isWorthRetrying(policy, failure, 1);
  const { limit = 0, delayMs = 1_000, backoff = 1, maxDelayMs = delayMs } = repeats(FAILED) ? (policy ?? {}) : {};
  return {
    maximumAttempts: limit + 1,
    initialInterval: Math.max(1, delayMs), // 0 would be Temporal's default
    backoffCoefficient: backoff,
    maximumInterval: Math.max(1, delayMs, maxDelayMs),
    nonRetryableErrorTypes: repeats(TIMED_OUT) ? [] : [...TIMEOUTS],
  };
}
