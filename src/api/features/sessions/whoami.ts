import { z } from 'zod';
import { ALL_ACTIONS } from '../../../domain/access/actions.ts';
import type { Actor } from '../../../domain/access/can.ts';
import { findNames } from '../../../db/identity.ts';
import { tokenOf } from '../../auth/cookies.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';

const uuid = z.string().meta({ format: 'uuid' });
const named = z.object({ id: uuid, name: z.string() });

const WhoAmI = z
  .object({
    kind: z.enum(['person', 'key']),
    person: named.nullable().meta({ description: 'null for a key that belongs to nobody' }),
    key: named.nullable().meta({ description: 'null for a person who has signed in' }),
    workspace: named.nullable().meta({ description: 'null for a member of no workspace' }),
    role: z.string().nullable().meta({ description: 'Of the person there' }),
    permissions: z.array(z.enum(ALL_ACTIONS)).meta({ description: 'Actions on anything in the workspace' }),
    ownPermissions: z.array(z.enum(ALL_ACTIONS)).meta({ description: 'Besides, on what is their own' }),
  })
  .meta({ id: 'WhoAmI' });

/** It is for whoever shows a token, whatever its scopes: the pipeline knows no such action, so it is asked here. */
const whoami = defineRoute({
  method: 'get',
  path: '/api/v1/auth/whoami',
  action: 'public',
  cost: 'public',
  tag: 'sessions',
  summary: 'Who a token or a key stands for, where it acts, and what it may do there',
  request: { query: noQuery },
  responses: { 200: { description: 'Who asks', schema: WhoAmI } },
  problems: ['unauthenticated'],
  handler: async ({ deps, headers }) => {
    const { actor } = await deps.authenticate(tokenOf(deps.config, { method: 'GET', headers }));
    return { status: 200, body: await present(deps, actor) };
  },
});

async function present({ engine, clock }: Pick<Deps, 'engine' | 'clock'>, actor: Actor) {
  const key = actor.session ? null : actor.principal.slice('key:'.length);
  const account = actor.account ?? null;
  const names = await findNames(engine, { workspace: actor.workspace, key, account, now: clock() });
  const pair = (id: string | null, name: string | null) => (id === null || name === null ? null : { id, name });
  const isNowhere = actor.session !== undefined && names.role === null;
  return {
    kind: actor.session ? 'person' : 'key',
    person: pair(account, names.person),
    key: pair(key, names.key),
    workspace: isNowhere ? null : pair(actor.workspace, names.workspace),
    role: names.role,
    permissions: [...actor.actions].sort(),
    ownPermissions: [...actor.own].filter((action) => !actor.actions.has(action)).sort(),
  };
}

export const whoamiRoutes: readonly Route[] = [whoami];
