import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

const retry = { initialInterval: '100ms', backoffCoefficient: 2, maximumInterval: '5s' };

/** Short database work, in the workflow's own process. Past the threshold its retries become timers. */
export const local = proxyLocalActivities<Activities>({ startToCloseTimeout: '60s', localRetryThreshold: '2s', retry });

/** Work that takes time. A lost worker is noticed after 5 s; how often a task is tried is decided in its claim, not here. */
export const remote = proxyActivities<Activities>({ startToCloseTimeout: '366 days', heartbeatTimeout: '5s', retry });
