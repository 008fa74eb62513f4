import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { SECRET_NAME } from '../../../domain/secret/name.ts';
import { deleteSecret, listSecrets, setSecret, type SecretInfo } from '../../../db/repositories/secrets.ts';
import type { Config } from '../../../runtime/config.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { reencrypt } from './reencrypt.ts';
import { Reencrypted, Secret, SecretList, secretParams, secretsQuery, SetSecret } from './schemas.ts';

const tag = 'secrets';

const presentSecret = (secret: SecretInfo) => ({
  name: secret.name,
  version: secret.version,
  keyId: secret.key_id,
  createdAt: iso(secret.created),
  createdBy: secret.created_by,
  updatedAt: iso(secret.updated),
  updatedBy: secret.updated_by,
});

/** Of the value nothing is said but what is wrong with it. @throws Problem invalid_request */
function checkValue(value: string, config: Pick<Config, 'TIU_MIN_SECRET' | 'TIU_MAX_SECRET'>): void {
  const refuse = (code: string, message: string) => invalidField('/value', message, code);
  if (value.length < config.TIU_MIN_SECRET) throw refuse('too_small', `has less than ${config.TIU_MIN_SECRET} characters`);
  if (Buffer.byteLength(value) > config.TIU_MAX_SECRET) throw refuse('too_big', `has more than ${config.TIU_MAX_SECRET} bytes`);
  if (!value.isWellFormed()) throw refuse('invalid_value', 'holds half of a surrogate pair');
}

const set = defineRoute({
  method: 'put',
  path: '/api/v1/secrets/{name}',
  action: 'secret.set',
  cost: 'write',
  tag,
  summary: 'Set a secret',
  description: 'The value is encrypted before it is stored and is never shown again. Runs that begin an attempt later see it.',
  request: { params: secretParams, query: noQuery, body: { schema: SetSecret } },
  responses: { 200: { description: 'Set, as the next version', schema: Secret } },
  problems: ['secrets_not_configured', 'too_many_secrets'],
  handler: async ({ deps, actor, params, body }) => {
    const { config } = deps;
    checkValue(body.value, config);
    const place = { workspace: actor.workspace, name: params.name };
    const sealed = deps.secretCipher.seal(place, body.value);
    const bounds = { max: config.TIU_MAX_SECRETS, overlapMs: config.TIU_HOOK_OVERLAP };
    const secret = await setSecret(deps.db, { ...place, ...sealed, by: actor.principal, ...bounds });
    if (!secret) throw new Problem('too_many_secrets', { detail: `At most ${config.TIU_MAX_SECRETS}` });
    return { status: 200, body: presentSecret(secret) };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/secrets',
  action: 'secret.read',
  cost: 'read',
  tag,
  summary: 'Secrets by name, without their values',
  request: { query: secretsQuery },
  responses: { 200: { description: 'A page', schema: SecretList } },
  handler: async ({ deps, actor, query }) => {
    const after = fromCursor(query.cursor, SECRET_NAME) ?? '';
    const rows = await listSecrets(deps.db, { workspace: actor.workspace, after, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.name);
    return { status: 200, body: { items: shown.map(presentSecret), nextCursor } };
  },
});

const remove = defineRoute({
  method: 'delete',
  path: '/api/v1/secrets/{name}',
  action: 'secret.delete',
  cost: 'write',
  tag,
  summary: 'Delete a secret',
  request: { params: secretParams, query: noQuery },
  responses: { 204: { description: 'Attempts that begin later fail with `unknown_secret`' } },
  handler: async ({ deps, actor, params }) => {
    if (!(await deleteSecret(deps.db, { workspace: actor.workspace, name: params.name, by: actor.principal })))
      throw new Problem('not_found', { detail: 'The workspace has no such secret' });
    return { status: 204 };
  },
});

const renew = defineRoute({
  method: 'post',
  path: '/api/v1/secrets/reencrypt',
  action: 'secret.reencrypt',
  cost: 'heavy',
  tag,
  summary: 'Encrypt with the current key what older keys encrypted',
  description:
    'Secrets of the workspace; with a key to the system workspace of all, and those of authenticator apps. Repeating is harmless.',
  request: { query: noQuery },
  responses: { 200: { description: 'All were looked at', schema: Reencrypted } },
  problems: ['secrets_not_configured'],
  handler: async ({ deps, actor }) => ({ status: 200, body: await reencrypt(deps, actor) }),
});

export const secretRoutes: readonly Route[] = [set, list, remove, renew];
