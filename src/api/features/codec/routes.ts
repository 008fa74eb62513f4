import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import type { PayloadCipher } from '../../../providers/payloadCipher/payloadCipher.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/);
const Payload = z
  .looseObject({ metadata: z.record(z.string(), base64).optional(), data: base64.optional() })
  .meta({ id: 'TemporalPayload', description: 'temporal.api.common.v1.Payload in its Protobuf JSON form' });
const Payloads = z.object({ payloads: z.array(Payload).max(10_000) }).meta({ id: 'TemporalPayloads' });
type WirePayload = z.output<typeof Payload>;

/** Not strict: UI and CLI add parameters of their own, such as this one. */
const Query = z.object({ preserveStorageRefs: z.string().optional() });

const tag = 'codec';
const DIRECTIONS = { decode: 'open', encode: 'seal' } as const;

/** The remote codec protocol of Temporal: https://docs.temporal.io/production-deployment/data-encryption */
function codecRoutes(name: keyof typeof DIRECTIONS): Route[] {
  const shared = {
    method: 'post',
    tag,
    responses: { 200: { description: 'As many payloads, in the same order', schema: Payloads } },
    problems: ['payload_key_unknown', 'payload_not_opened'],
  } as const;
  const answer = (deps: Deps, payloads: readonly WirePayload[]) => ({
    status: 200,
    body: { payloads: payloads.map((payload) => convert(deps.payloadCipher[DIRECTIONS[name]], payload)) },
  });
  const summary = name === 'decode' ? 'Open payloads of Temporal' : 'Seal payloads for Temporal';
  return [
    defineRoute({
      ...shared,
      path: `/api/v1/codec/${name}`,
      action: `payload.${name}`,
      cost: 'read',
      summary,
      description: 'The codec server that the Temporal UI and CLI ask. Which keys it has, the settings say.',
      request: { query: Query, body: { schema: Payloads } },
      handler: ({ deps, body }) => Promise.resolve(answer(deps, body.payloads)),
    }),
    defineRoute({
      ...shared,
      path: `/api/v1/codec/{token}/${name}`,
      action: 'public',
      cost: 'public',
      summary: `${summary}, for who has the token`,
      description: 'A Temporal UI without sign-in has no access token to send. Not there unless TIU_CODEC_TOKEN is set.',
      request: { params: z.object({ token: z.string() }), query: Query, body: { schema: Payloads } },
      handler: ({ deps, params, body }) => {
        if (!isToken(deps.config.TIU_CODEC_TOKEN, params.token)) throw new Problem('not_found');
        return Promise.resolve(answer(deps, body.payloads));
      },
    }),
  ];
}

function isToken(expected: string | undefined, given: string): boolean {
  const [a, b] = [Buffer.from(expected ?? ''), Buffer.from(given)];
  return expected !== undefined && a.length === b.length && timingSafeEqual(a, b);
}

function convert(by: PayloadCipher['open'], payload: WirePayload): WirePayload {
  const { metadata = {}, data = '' } = payload;
  const converted = by({
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')])),
    data: Buffer.from(data, 'base64'),
  });
  const encode = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('base64');
  return {
    ...payload,
    metadata: Object.fromEntries(Object.entries(converted.metadata ?? {}).map(([name, value]) => [name, encode(value)])),
    data: encode(converted.data),
  };
}

export const payloadRoutes: readonly Route[] = [...codecRoutes('decode'), ...codecRoutes('encode')];
