import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { findArtifact, recordArtifact, type ArtifactRow } from '../../../db/repositories/artifacts.ts';
import { hasBody, mediaType } from '../../http/body.ts';
import { defineRoute, type Route } from '../../route.ts';
import { sha256Text, text, time } from '../../schemas.ts';
import { iso } from '../../time.ts';

const Artifact = z
  .object({
    sha256: sha256Text,
    size: z.int(),
    mediaType: z.string(),
    name: z.string().nullable(),
    createdAt: time,
    links: z.object({ self: z.string() }),
  })
  .meta({ id: 'Artifact' });

const tag = 'artifacts';
const presentArtifact = (row: ArtifactRow) => ({
  sha256: row.sha256,
  size: row.size,
  mediaType: row.media_type,
  name: row.name,
  createdAt: iso(row.created),
  links: { self: `/api/v1/artifacts/${row.sha256}` },
});

const upload = defineRoute({
  method: 'post',
  path: '/api/v1/artifacts',
  action: 'artifact.upload',
  cost: 'upload',
  tag,
  summary: 'Upload an artifact',
  description:
    'The body is the content, its `Content-Type` the media type. Content-addressed: the same bytes are the same artifact, so repeating is harmless.',
  request: { query: z.strictObject({ name: text(255).optional() }), upload: true },
  responses: {
    200: { description: 'The workspace has this content already', schema: Artifact },
    201: { description: 'Stored', schema: Artifact, headers: { location: 'The artifact' } },
  },
  problems: ['quota_exceeded', 'artifact_too_large', 'malformed_body', 'unavailable'],
  handler: async ({ deps, actor, query, raw, stillMay }) => {
    if (!hasBody(raw)) throw new Problem('malformed_body', { detail: 'The body is empty' });
    await deps.quotas.check(actor.workspace, 'artifact_bytes', Number(raw.headers['content-length'] ?? 1));
    const stored = await deps.objects.put(actor.workspace, raw).catch((error: unknown) => {
      // whoever stops reading closes the body: a full store is not the client's fault
      if (!(error instanceof Problem) && (raw.errored || raw.destroyed))
        throw new Problem('malformed_body', { detail: 'The body did not arrive in full', cause: error });
      throw error;
    });
    await stillMay();
    const { type } = mediaType(raw);
    const row = await recordArtifact(deps.db, {
      workspace: actor.workspace,
      ...stored,
      mediaType: /^[\w.+-]{1,60}\/[\w.+-]{1,120}$/.test(type) ? type : 'application/octet-stream',
      name: query.name,
      by: actor.principal,
    });
    const body = presentArtifact(row);
    return { status: row.fresh ? 201 : 200, body, headers: { location: body.links.self, etag: `"${row.sha256}"` } };
  },
});

const download = defineRoute({
  method: 'get',
  path: '/api/v1/artifacts/{sha256}',
  action: 'artifact.read',
  cost: 'read',
  tag,
  summary: 'Content of an artifact',
  request: { params: z.object({ sha256: z.string() }), query: z.strictObject({}) },
  responses: { 200: { description: 'The bytes, as a download', types: ['*/*'] }, 304: { description: 'The client has it' } },
  problems: ['artifact_not_found'],
  load: ({ deps, actor, params }) =>
    /^[0-9a-f]{64}$/.test(params.sha256)
      ? findArtifact(deps.db, { workspace: actor.workspace, sha256: params.sha256 })
      : Promise.resolve(undefined),
  handler: async ({ deps, resource, headers }) => {
    const etag = `"${resource.sha256}"`;
    if (headers['if-none-match'] === etag) return { status: 304, headers: { etag } };
    const stream = await deps.objects.open(resource.workspace, resource.sha256);
    return {
      status: 200,
      type: resource.media_type,
      body: stream,
      headers: {
        etag,
        'content-length': String(stream.size),
        // somebody else's file: never shown as a page of ours
        'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(resource.name ?? resource.sha256).replaceAll(/['()*]/g, escape)}`,
        'cache-control': 'private, max-age=31536000, immutable',
        'content-security-policy': "sandbox; default-src 'none'",
      },
    };
  },
});

const escape = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

export const artifactRoutes: readonly Route[] = [upload, download];
