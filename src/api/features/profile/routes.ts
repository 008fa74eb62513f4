import type { IncomingHttpHeaders } from 'node:http';
import type { Actor } from '../../../domain/access/can.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { Problem } from '../../../domain/problem.ts';
import { changeProfile, readProfile, setSettings, type ProfileRow } from '../../../db/repositories/profiles.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { ChangeProfile, Profile, UserSettings } from './schemas.ts';

const tag = 'account';
const versioned = { etag: 'The version of the account' };

const answerOf = (row: ProfileRow, body: object): Reply => ({ status: 200, body, headers: { etag: `"${row.version}"` } });

const presentProfile = (row: ProfileRow): Reply =>
  answerOf(row, {
    id: row.id,
    name: row.name,
    email: row.email,
    emailVerified: row.email_verified !== null,
    fullName: row.full_name,
    bio: row.bio,
    avatarUrl: row.avatar_url,
    preferences: row.preferences ?? {},
    createdAt: iso(row.created),
    lastLoginAt: maybeIso(row.last_login),
  });

const presentSettings = (row: ProfileRow): Reply => answerOf(row, UserSettings.parse(row.settings ?? {}));

/** @throws Problem unauthenticated */
async function ownProfile({ engine }: Pick<Deps, 'engine'>, actor: Actor): Promise<ProfileRow> {
  const row = actor.account === undefined ? undefined : await readProfile(engine, actor.account);
  if (!row) throw new Problem('unauthenticated');
  return row;
}

/** Whose account is changed, and which version of it: `If-Match` is honoured. @throws Problem precondition_failed */
async function seenBy({ deps, actor, headers }: { deps: Pick<Deps, 'engine'>; actor: Actor; headers: IncomingHttpHeaders }) {
  const row = await ownProfile(deps, actor);
  const wanted = headers['if-match'];
  const of = { account: row.id, by: actor.principal, version: undefined };
  if (wanted === undefined || wanted === '*') return of;
  if (wanted !== `"${row.version}"`) throw new Problem('precondition_failed');
  return { ...of, version: row.version };
}

/** @throws Problem precondition_failed */
function changed(row: ProfileRow | undefined): ProfileRow {
  if (!row) throw new Problem('precondition_failed');
  return row;
}

const me = defineRoute({
  method: 'get',
  path: '/api/v1/users/me',
  action: 'self',
  cost: 'read',
  tag,
  summary: 'What one says of oneself',
  request: { query: noQuery },
  responses: { 200: { description: 'The person', schema: Profile, headers: versioned } },
  handler: async ({ deps, actor }) => presentProfile(await ownProfile(deps, actor)),
});

const change = defineRoute({
  method: 'patch',
  path: '/api/v1/users/me',
  action: 'self',
  cost: 'write',
  tag,
  summary: 'Change what one says of oneself',
  description: 'Of name and password there are other routes, and `POST /auth/change-email` for the address. `If-Match` is honoured.',
  request: { query: noQuery, body: { schema: ChangeProfile } },
  responses: { 200: { description: 'Changed', schema: Profile, headers: versioned } },
  problems: ['precondition_failed'],
  handler: async (call) => {
    const { preferences, ...body } = call.body;
    const wanted = { ...body, ...(preferences && { preferences: preferences as JsonObject }) };
    return presentProfile(changed(await changeProfile(call.deps.engine, await seenBy(call), wanted)));
  },
});

const settings = defineRoute({
  method: 'get',
  path: '/api/v1/settings/user',
  action: 'self',
  cost: 'read',
  tag,
  summary: "One's own settings, with what holds where one has said nothing",
  request: { query: noQuery },
  responses: { 200: { description: 'All of them', schema: UserSettings, headers: versioned } },
  handler: async ({ deps, actor }) => presentSettings(await ownProfile(deps, actor)),
});

const set = defineRoute({
  method: 'put',
  path: '/api/v1/settings/user',
  action: 'self',
  cost: 'write',
  tag,
  summary: "Set one's own settings",
  description: 'In place of all that were set before. `If-Match` is honoured.',
  request: { query: noQuery, body: { schema: UserSettings } },
  responses: { 200: { description: 'Set', schema: UserSettings, headers: versioned } },
  problems: ['precondition_failed'],
  handler: async (call) => presentSettings(changed(await setSettings(call.deps.engine, await seenBy(call), call.body))),
});

export const profileRoutes: readonly Route[] = [me, change, settings, set];
