import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { askFor, findRequest, listExports, type PersonRequest } from '../../../db/personRequests.ts';
import { submitRequest } from '../../../db/submitRequest.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import { UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { exportParams, PersonData, PersonExport, PersonExports } from './schemas.ts';

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

/** It is accepted already: when the run cannot be submitted now, a worker does it later. */
async function submit(deps: Deps, { id, kind }: PersonRequest): Promise<void> {
  try {
    await submitRequest({ db: deps.engine, submitRun: deps.submitRun }, { id, kind, before: null });
  } catch (error) {
    deps.log.warn({ request: id, err: error }, 'person_request.not_submitted');
  }
}

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

export const peopleRoutes: readonly Route[] = [ask, list, download];
