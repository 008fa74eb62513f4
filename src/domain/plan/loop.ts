import type { LoopPlan } from './plan.ts';

/** What a round that ended well comes to: the end of its task, another round, or the failure loop_exhausted. */
export type RoundEnd = 'completed' | 'again' | 'exhausted';

/**
 * @param rounds how many have ended well, this one with them
 * @param holds whether the condition of the loop does
 */
export function afterRound({ max, onExhausted }: Pick<LoopPlan, 'max' | 'onExhausted'>, rounds: number, holds: boolean): RoundEnd {
  if (holds) return 'completed';
  if (rounds < max) return 'again';
  return onExhausted === 'continue' ? 'completed' : 'exhausted';
}
