import { z } from 'zod';
import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { findProfile } from '../../../db/profile.ts';
import { endSession, endSessions, listSessions } from '../../../db/sessions.ts';
import { unauthenticated } from '../../auth/authenticate.ts';
import { UUID } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { presentMe, presentSession } from './present.ts';
import { Me, SessionList } from './schemas.ts';

const tag = 'sessions';

/** The person who asks, and their session. @throws Problem unauthenticated */
export function selfOf({ account, session }: Actor): { account: string; session: { id: string; provedAt: number } } {
  if (account === undefined || !session) throw unauthenticated();
  return { account, session };
}

const me = defineRoute({
  method: 'get',
  path: '/api/v1/auth/me',
  action: 'self',
  beforeSecondFactor: true,
  cost: 'read',
  tag,
  summary: 'Who has signed in, where they act, and what they may do there',
  request: { query: noQuery },
  responses: { 200: { description: 'The person', schema: Me } },
  handler: async ({ deps, actor }) => {
    const { account, session } = selfOf(actor);
    const profile = await findProfile(deps.db, { account, now: deps.clock() });
    if (!profile) throw unauthenticated();
    return { status: 200, body: presentMe(profile, { actor, session }) };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/auth/sessions',
  action: 'self',
  cost: 'read',
  tag,
  summary: "One's own open sessions, the last used first",
  request: { query: noQuery },
  responses: { 200: { description: 'All of them', schema: SessionList } },
  handler: async ({ deps, actor }) => {
    const { account, session } = selfOf(actor);
    const rows = await listSessions(deps.db, { account, now: deps.clock() });
    return { status: 200, body: { items: rows.map((row) => presentSession(row, session.id)) } };
  },
});

const endOne = defineRoute({
  method: 'delete',
  path: '/api/v1/auth/sessions/{id}',
  action: 'self',
  cost: 'write',
  tag,
  summary: "End one of one's own sessions",
  request: { params: z.object({ id: z.string() }), query: noQuery },
  responses: { 204: { description: 'Its tokens are refused and its sockets closed, within a second everywhere' } },
  handler: async ({ deps, actor, params }) => {
    const { account } = selfOf(actor);
    const end = { account, session: params.id, reason: 'ended', by: actor.principal };
    if (!UUID.test(params.id) || !(await endSession(deps.db, end))) throw new Problem('not_found');
    deps.authenticate.forget(`session:${params.id}`);
    return { status: 204 };
  },
});

const endOthers = defineRoute({
  method: 'delete',
  path: '/api/v1/auth/sessions',
  action: 'self',
  cost: 'write',
  tag,
  summary: "End all of one's own sessions but the one that asks",
  request: { query: noQuery },
  responses: { 200: { description: 'Ended', schema: z.object({ ended: z.int() }).meta({ id: 'EndedSessions' }) } },
  handler: async ({ deps, actor }) => {
    const { account, session } = selfOf(actor);
    const ended = await endSessions(deps.db, { account, except: session.id, reason: 'ended', by: actor.principal });
    deps.authenticate.forget(`account:${account}`);
    return { status: 200, body: { ended } };
  },
});

export const sessionRoutes: readonly Route[] = [me, list, endOthers, endOne];
