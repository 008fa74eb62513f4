import type { Battle, Struck } from './faults.ts';

export function fillUp(battle: Battle): Promise<Struck> {
  return Promise.resolve({ back: battle.seed > 0 ? null : null, skipped: 'needs mount' });
}
