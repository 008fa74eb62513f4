import { randomUUIDv7 } from 'node:crypto';
import type { Json } from '../../../domain/json.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { sendEvent } from '../../sendEvent.ts';
import { iso } from '../../time.ts';
import { SendEvent, SentEvent } from './schemas.ts';

const send = defineRoute({
  method: 'post',
  path: '/api/v1/events',
  action: 'event.send',
  cost: 'write',
  tag: 'events',
  summary: 'Tell everybody in the workspace who waits for it, or waits for it first, that something happened',
  request: { query: noQuery, body: { schema: SendEvent } },
  responses: { 202: { description: 'It is durable', schema: SentEvent } },
  problems: ['event_mismatch', 'idempotency_mismatch', 'unavailable'],
  idempotency: 'own',
  handler: async ({ deps, actor, body, headers }) => {
    const { workspace, principal: by } = actor;
    const { name, key, payload = null } = body;
    const id = body.id ?? (typeof headers['idempotency-key'] === 'string' ? headers['idempotency-key'] : randomUUIDv7());
    const { at, runs } = await sendEvent(deps, { workspace, name, key, id, payload: payload as Json, by });
    return { status: 202, body: { id, name, key, at: iso(at), runs } };
  },
});

export const eventRoutes: readonly Route[] = [send];
