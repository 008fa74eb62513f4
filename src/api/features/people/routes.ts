import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { askFor, findRequest, listExports, type PersonRequest } from '../../../db/personRequests.ts';
import { readProfile } from '../../../db/repositories/profiles.ts';
import { findUser } from '../../../db/repositories/users.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import { UUID } from '../../cursor.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { erase } from './erase.ts';
import { Erasing, ErasePerson, exportParams, PersonData, PersonExport, PersonExports, personParams } from './schemas.ts';
import { submit } from './submit.ts';

const tag = 'account';

const presentExport = (request: PersonRequest) => ({
  id: request.id,
  status: request.done === null ? 'accepted' : 'ready',
  createdAt: iso(request.created),
  size: request.size,
  expiresAt: maybeIso(request.expires),
});

/** The person of a `self` route. */
const personOf = (actor: Actor): string => actor.account ?? '';

const ask = defineRoute({
  method: 'post',
  path: '/api/v1/users/me/export',
  action: 'self',
  cost: 'batch',
  tag,
  summary: 'Ask for all that is kept of oneself',
  description:
    'A durable run writes it; one at a time, so that asking again while it is under way is the same. Wants a proof of who one is from the last minutes.',
  request: { query: noQuery },
  responses: { 202: { description: 'Accepted', schema: PersonExport } },
  problems: ['reauthentication_required'],
  handler: async ({ deps, actor }) => {
    requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
    const request = await askFor(deps.engine, { kind: 'export', account: personOf(actor), by: actor.principal });
    await submit(deps, request);
    return { status: 202, body: presentExport(request) };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/users/me/exports',
  action: 'self',
  cost: 'read',
  tag,
  summary: "One's own exports, the newest first",
  request: { query: noQuery },
  responses: { 200: { description: 'Those that are under way or can be fetched', schema: PersonExports } },
  handler: async ({ deps, actor }) => ({
    status: 200,
    body: { items: (await listExports(deps.engine, personOf(actor))).map(presentExport) },
  }),
});

const download = defineRoute({
  method: 'get',
  path: '/api/v1/users/me/exports/{id}',
  action: 'self',
  cost: 'read',
  tag,
  summary: "Fetch one of one's own exports",
  description: 'One JSON object with a list for each part.',
  request: { params: exportParams, query: noQuery },
  responses: { 200: { description: 'The document, as a download', schema: PersonData } },
  problems: ['artifact_not_found'],
  handler: async ({ deps, actor, params }) => {
    const request = UUID.test(params.id) ? await findRequest(deps.engine, params.id) : undefined;
    if (request?.account !== personOf(actor) || request.sha256 === null || isOver(request, deps.clock())) throw new Problem('not_found');
    const stream = await deps.objects.open(request.id, request.sha256);
    return {
      status: 200,
      type: 'application/json',
      body: stream,
      headers: {
        'content-length': String(stream.size),
        'content-disposition': 'attachment; filename="person.json"',
        'cache-control': 'no-store',
      },
    };
  },
});

const isOver = ({ expires }: PersonRequest, now: number): boolean => expires === null || Date.parse(expires) <= now;

const WHAT_GOES =
  `Sessions and keys end at once; a durable run removes credentials, mail, names, identities, invitations, links and places, and says
by table what was removed, and what stays and why. The account stays as \`erased\` with its id, by which others' records name it.`.replaceAll(
    '\n',
    ' ',
  );
const presentErasing = (request: PersonRequest) => ({ id: request.id, status: 'accepted', createdAt: iso(request.created) });

const eraseMe = defineRoute({
  method: 'post',
  path: '/api/v1/users/me/erase',
  action: 'self',
  cost: 'batch',
  tag,
  summary: 'Have all that is kept of oneself removed; there is no way back',
  description: `${WHAT_GOES} Wants a proof of who one is from the last minutes. A workspace that nobody else is in closes; of one with others somebody else has to be an owner first.`,
  request: { query: noQuery, body: { schema: ErasePerson } },
  responses: { 202: { description: 'Accepted; one is out', schema: Erasing } },
  problems: ['reauthentication_required', 'last_owner', 'state_conflict'],
  handler: async ({ deps, actor, body }) => {
    const person = await readProfile(deps.engine, personOf(actor));
    if (!person) throw new Problem('unauthenticated');
    return { status: 202, body: presentErasing(await erase(deps, actor, { person, name: body.name })) };
  },
});

const eraseOther = defineRoute({
  method: 'post',
  path: '/api/v1/users/{id}/erase',
  action: 'user.erase',
  cost: 'batch',
  tag: 'users',
  summary: 'Have all that is kept of a person removed; there is no way back',
  description: `${WHAT_GOES} For operators who have proved who they are in the last minutes; never oneself.`,
  request: { params: personParams, query: noQuery, body: { schema: ErasePerson } },
  responses: { 202: { description: 'Accepted; they are out', schema: Erasing } },
  problems: ['reauthentication_required', 'last_owner', 'state_conflict'],
  load: ({ deps, params }: Pick<Call<{ id: string }, never, never, never>, 'deps' | 'params'>) =>
    UUID.test(params.id) ? findUser(deps.engine, params.id) : Promise.resolve(undefined),
  handler: async ({ deps, actor, resource, body }) => {
    if (resource.id === actor.account) throw new Problem('state_conflict', { detail: 'Nobody does this to themselves here' });
    if (resource.status === 'erased') throw new Problem('state_conflict', { detail: 'The account is erased' });
    return { status: 202, body: presentErasing(await erase(deps, actor, { person: resource, name: body.name })) };
  },
});

export const peopleRoutes: readonly Route[] = [ask, list, download, eraseMe, eraseOther];
