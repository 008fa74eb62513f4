import type { Actor } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';

/**
 * For what a stolen session must not be enough: the person has proved who they are a moment ago.
 * @param now, maxAgeMs ms
 * @throws Problem reauthentication_required, also for a key
 */
export function requireFresh(actor: Actor, now: number, maxAgeMs: number): void {
  if (!actor.session || now - actor.session.provedAt > maxAgeMs) throw new Problem('reauthentication_required');
}
