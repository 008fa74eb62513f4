import { listAudit, listPersonEvents, type AuditFilter } from '../../../db/repositories/audit.ts';
import { readChainState } from '../../../db/auditChain.ts';
import { fromCursor, pageOf, toCursor } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { exportLines, exportTable } from './exportAudit.ts';
import { presentEntry } from './present.ts';
import { AuditHead, AuditList, auditQuery, exportQuery, ownEventsQuery } from './schemas.ts';

const tag = 'audit';
const SEQ = /^[1-9]\d{0,15}$/;

function beforeOf(cursor: string | undefined): number | undefined {
  const key = fromCursor(cursor, SEQ);
  return key === undefined ? undefined : Number(key);
}

async function page(deps: Deps, filter: AuditFilter, { cursor, limit }: { cursor?: string | undefined; limit: number }): Promise<Reply> {
  const before = beforeOf(cursor);
  const { rows, next } = await listAudit(deps.engine, filter, { before, limit, scan: Math.max(deps.config.TIU_AUDIT_SCAN, limit) });
  return { status: 200, body: { items: rows.map(presentEntry), nextCursor: next === null ? null : toCursor(String(next)) } };
}

const dateOf = (instant: string | undefined): Date | undefined => (instant === undefined ? undefined : new Date(instant));

const list = defineRoute({
  method: 'get',
  path: '/api/v1/audit',
  action: 'audit.read',
  cost: 'read',
  tag,
  summary: 'Who did what in the workspace, or was refused it, newest first',
  description:
    'Entries show once they have their place in the chain, within a second. One page looks through `TIU_AUDIT_SCAN` of them at most.',
  request: { query: auditQuery },
  responses: { 200: { description: 'A page', schema: AuditList } },
  handler: ({ deps, actor, query: { action, since, until, cursor, limit, ...query } }) => {
    const actions = action === undefined ? undefined : [action];
    const filter = { workspace: actor.workspace, actions, since: dateOf(since), until: dateOf(until), ...query };
    return page(deps, filter, { cursor, limit });
  },
});

/** Actions about a person's own security. */
const OWN = ['account', 'auth', 'email', 'identity', 'key', 'mfa', 'passkey', 'password', 'session'];

const own = defineRoute({
  method: 'get',
  path: '/api/v1/auth/me/events',
  action: 'self',
  cost: 'read',
  tag,
  summary: 'What happened to your account and its sign-ins, newest first',
  request: { query: ownEventsQuery },
  responses: { 200: { description: 'A page', schema: AuditList } },
  handler: async ({ deps, actor, query }) => {
    const person = { principal: actor.principal, object: `user:${actor.account ?? ''}`, actions: OWN };
    const rows = await listPersonEvents(deps.engine, person, { before: beforeOf(query.cursor), limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => String(row.seq));
    return { status: 200, body: { items: shown.map(presentEntry), nextCursor } };
  },
});

const head = defineRoute({
  method: 'get',
  path: '/api/v1/audit/checkpoint',
  action: 'audit.read',
  cost: 'read',
  tag,
  summary: 'The signed end of the chain, to be kept apart',
  description: '`tiu audit verify --checkpoint FILE` finds whatever is taken away or changed after it was fetched.',
  request: { query: ownEventsQuery.pick({}) },
  responses: { 200: { description: 'Head, cut and public keys', schema: AuditHead } },
  handler: async ({ deps }) => {
    const { head: end, cut = null } = await readChainState(deps.engine);
    return { status: 200, body: { head: end, cut, keys: deps.auditKeys.publicKeys } };
  },
});

const exporting = defineRoute({
  method: 'get',
  path: '/api/v1/audit/export',
  action: 'audit.read',
  cost: 'heavy',
  tag,
  summary: 'The audit as a stream, with hashes and checkpoints',
  description:
    'NDJSON is what `tiu audit verify` reads: the whole chain, where entries of other workspaces are hashes alone. CSV has the entries of the workspace, and the head of the chain in a header.',
  request: { query: exportQuery },
  responses: {
    200: {
      description: 'Lines of JSON, or a table',
      types: ['application/x-ndjson', 'text/csv'],
      headers: { 'tiu-audit-head': 'Of CSV: number, hash, key and signature of the end of the chain' },
    },
  },
  handler: async ({ deps, actor: { workspace }, query: { format, after } }) => {
    const name = { 'content-disposition': `attachment; filename="audit.${format}"` };
    if (format === 'ndjson') return { status: 200, type: 'application/x-ndjson', body: await exportLines(deps, workspace), headers: name };
    const { table, head: end } = await exportTable(deps, { workspace, after });
    const said = [end.seq, end.hash, end.keyId ?? '-', end.signature ?? '-'].join(' ');
    return { status: 200, type: 'text/csv; charset=utf-8', body: table, headers: { ...name, 'tiu-audit-head': said } };
  },
});

export const auditRoutes: readonly Route[] = [list, head, exporting, own];
