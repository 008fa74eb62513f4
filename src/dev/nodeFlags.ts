/**
 * Flags of the processes of the stack. The small young generation keeps a worker at 193 MB resident instead of 223. The api answers many
 * small requests: with 16 MB it spends 9 % of its time on garbage instead of 13, and is 127 MB resident when idle instead of 111.
 * Feedback from the first call on lets a process that has just started be as quick after half as many requests.
 */
export const NODE_FLAGS = {
  api: ['--max-old-space-size=512', '--max-semi-space-size=16', '--no-lazy-feedback-allocation'],
  worker: ['--max-old-space-size=256', '--max-semi-space-size=4', '--no-lazy-feedback-allocation'],
} as const;
