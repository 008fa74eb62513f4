import { randomUUIDv7 } from 'node:crypto';
import { matchesSchema } from '../../../domain/definition/jsonSchema.schema.ts';
import type { Json, JsonSchema } from '../../../domain/json.ts';
import { Problem } from '../../../domain/problem.ts';
import { matchEvents, misfits, storeEvent } from '../../../db/events.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { SendEvent, SentEvent } from './schemas.ts';

/** What of a payload those who wait for it cannot take. */
function mismatch(schema: JsonSchema, payload: Json): Problem {
  const issues = matchesSchema(schema, payload).map((issue) => ({ ...issue, pointer: `/payload${issue.pointer}` }));
  return new Problem('event_mismatch', { detail: `${issues.length} faults`, issues });
}

const send = defineRoute({
  method: 'post',
  path: '/api/v1/events',
  action: 'event.send',
  tag: 'events',
  summary: 'Tell everybody in the workspace who waits for it, or waits for it first, that something happened',
  request: { query: noQuery, body: { schema: SendEvent } },
  responses: { 202: { description: 'It is durable', schema: SentEvent } },
  problems: ['event_mismatch', 'idempotency_mismatch', 'unavailable'],
  idempotency: 'own',
  handler: async ({ deps, actor, body, headers }) => {
    const { workspace, principal } = actor;
    const { name, key, payload = null } = body;
    const id = body.id ?? (typeof headers['idempotency-key'] === 'string' ? headers['idempotency-key'] : randomUUIDv7());
    const of = { workspace, name, key };
    const [wrong] = await misfits(deps.db, of, payload as Json);
    if (wrong !== undefined) throw mismatch(wrong, payload as Json);
    const row = { ...of, id, payload: JSON.stringify(payload), by: principal, audit: randomUUIDv7(), keepDays: deps.config.TIU_EVENT_DAYS };
    const stored = await storeEvent(deps.db, row);
    if (stored.outcome === 'other') throw new Problem('idempotency_mismatch', { detail: 'another event has this id' });
    const runs = await matchEvents(deps.db, of);
    if (runs.length > 0) deps.poke(runs);
    return { status: 202, body: { id, name, key, at: iso(stored.at), runs: runs.length } };
  },
});

export const eventRoutes: readonly Route[] = [send];
