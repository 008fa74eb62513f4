import { matchesSchema } from '../domain/definition/jsonSchema.schema.ts';
import type { Json, JsonSchema } from '../domain/json.ts';
import { Problem } from '../domain/problem.ts';
import { compareEvent, giveEvent, hasEvent, storeEvent, type EventName } from '../db/events.ts';
import type { Deps } from './deps.ts';

/** `id`: the same is the same event, however often it is sent. */
export type SentEvent = EventName & { id: string; payload: Json; by: string };

/**
 * Makes an event durable and gives it to those who wait for it. Three statements, unless somebody begins to wait just then.
 * @returns when it was first sent, whether that was now, and how many runs it was given to now
 * @throws Problem event_mismatch when somebody who waits cannot take it; nothing was kept then | idempotency_mismatch
 */
export async function sendEvent(
  deps: Pick<Deps, 'db' | 'config' | 'poke'>,
  { id, payload, by, ...of }: SentEvent,
): Promise<{ at: string; fresh: boolean; runs: number }> {
  const compared = await compareEvent(deps.db, of, payload);
  const [wrong] = compared.misfit;
  // one that was accepted before is answered as it was then
  if (wrong !== undefined && !(await hasEvent(deps.db, { workspace: of.workspace, id }))) throw mismatch(wrong, payload);
  const row = { ...of, id, payload: JSON.stringify(payload), by, keepDays: deps.config.TIU_EVENT_DAYS };
  const stored = await storeEvent(deps.db, row);
  if (stored.outcome === 'other') throw new Problem('idempotency_mismatch', { detail: 'another event has this id' });
  const runs = await giveEvent(deps.db, of, { id, ...compared });
  if (runs.length > 0) deps.poke(runs);
  return { at: stored.at, fresh: stored.outcome === 'new', runs: runs.length };
}

/** What of a payload those who wait for it cannot take. */
function mismatch(schema: string, payload: Json): Problem {
  const found = matchesSchema(JSON.parse(schema) as JsonSchema, payload);
  const issues = found.map((issue) => ({ ...issue, pointer: `/payload${issue.pointer}` }));
  return new Problem('event_mismatch', { detail: `${issues.length} faults`, issues });
}
