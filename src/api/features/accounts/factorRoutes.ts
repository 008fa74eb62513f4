import { listFactors } from '../../../db/repositories/secondFactors.ts';
import type { RegistrationResponse } from '../../../providers/passkey/passkeys.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { beginPasskey, beginTotp, confirmTotp, dropFactor, finishPasskey, renewRecoveryCodes } from './factors.ts';
import { Code, Factors, NewPasskey, NewTotp, PasskeyAdded, PasskeyOptions, passkeyParams, RecoveryCodes } from './schemas.ts';
import { selfOf } from './self.ts';

const tag = 'second factors';
const base = '/api/v1/auth/second-factors';

const list = defineRoute({
  method: 'get',
  path: base,
  action: 'self',
  beforeSecondFactor: true,
  cost: 'read',
  tag,
  summary: 'What you sign in with besides your password',
  request: { query: noQuery },
  responses: { 200: { description: 'All of it', schema: Factors } },
  handler: async ({ deps, actor }) => {
    const { account } = await selfOf(deps, actor);
    const { totp, recoveryCodes, passkeys } = await listFactors(deps.db, account.id);
    const shown = passkeys.map(({ id, name, synced, created, lastUsed }) => ({
      ...{ id, name, synced, createdAt: iso(created), lastUsedAt: maybeIso(lastUsed) },
    }));
    return { status: 200, body: { totp: totp && { confirmedAt: iso(totp) }, recoveryCodes, passkeys: shown } };
  },
});

const begin = defineRoute({
  method: 'post',
  path: `${base}/totp`,
  action: 'self',
  beforeSecondFactor: true,
  cost: 'auth',
  tag,
  summary: 'Begin an authenticator app',
  request: { query: noQuery },
  responses: { 200: { description: 'To be confirmed by a code', schema: NewTotp } },
  problems: ['reauthentication_required', 'state_conflict', 'secrets_not_configured'],
  handler: async ({ deps, actor }) => ({ status: 200, body: await beginTotp(deps, actor) }),
});

const confirm = defineRoute({
  method: 'post',
  path: `${base}/totp/confirm`,
  action: 'self',
  beforeSecondFactor: true,
  cost: 'code',
  tag,
  summary: 'Take an authenticator app into use',
  request: { query: noQuery, body: { schema: Code } },
  responses: { 200: { description: 'In use', schema: RecoveryCodes } },
  problems: ['reauthentication_required', 'invalid_code', 'too_many_tries', 'sign_in_disabled'],
  handler: async ({ deps, actor, body }) => ({ status: 200, body: { recoveryCodes: await confirmTotp(deps, actor, body) } }),
});

const removeTotp = defineRoute({
  method: 'delete',
  path: `${base}/totp`,
  action: 'self',
  cost: 'auth',
  tag,
  summary: 'Remove the authenticator app',
  request: { query: noQuery },
  responses: { 204: { description: 'Removed' } },
  problems: ['reauthentication_required', 'last_second_factor', 'not_found'],
  handler: async ({ deps, actor }) => {
    await dropFactor(deps, actor, {});
    return { status: 204 };
  },
});

const renew = defineRoute({
  method: 'post',
  path: `${base}/recovery-codes`,
  action: 'self',
  cost: 'auth',
  tag,
  summary: 'Make other recovery codes',
  request: { query: noQuery },
  responses: { 200: { description: 'Those there were open nothing any more', schema: RecoveryCodes } },
  problems: ['reauthentication_required', 'state_conflict'],
  handler: async ({ deps, actor }) => ({ status: 200, body: { recoveryCodes: await renewRecoveryCodes(deps, actor) } }),
});

const passkeyOptions = defineRoute({
  method: 'post',
  path: `${base}/passkeys/options`,
  action: 'self',
  beforeSecondFactor: true,
  cost: 'auth',
  tag,
  summary: 'Begin a passkey',
  request: { query: noQuery },
  responses: { 200: { description: 'For navigator.credentials.create', schema: PasskeyOptions } },
  problems: ['reauthentication_required', 'too_many_passkeys'],
  handler: async ({ deps, actor }) => ({ status: 200, body: await beginPasskey(deps, actor) }),
});

const addPasskey = defineRoute({
  method: 'post',
  path: `${base}/passkeys`,
  action: 'self',
  beforeSecondFactor: true,
  cost: 'auth',
  tag,
  summary: 'Keep the passkey that a browser has made',
  request: { query: noQuery, body: { schema: NewPasskey } },
  responses: { 201: { description: 'Kept', schema: PasskeyAdded } },
  problems: ['reauthentication_required', 'link_invalid', 'too_many_passkeys'],
  handler: async ({ deps, actor, body }) => {
    const made = { name: body.name, response: body.response as RegistrationResponse };
    return { status: 201, body: { id: await finishPasskey(deps, actor, made) } };
  },
});

const removePasskey = defineRoute({
  method: 'delete',
  path: `${base}/passkeys/{id}`,
  action: 'self',
  cost: 'auth',
  tag,
  summary: 'Remove a passkey',
  request: { params: passkeyParams, query: noQuery },
  responses: { 204: { description: 'Removed' } },
  problems: ['reauthentication_required', 'last_second_factor', 'not_found'],
  handler: async ({ deps, actor, params }) => {
    await dropFactor(deps, actor, { passkey: params.id });
    return { status: 204 };
  },
});

export const factorRoutes: readonly Route[] = [list, begin, confirm, removeTotp, renew, passkeyOptions, addPasskey, removePasskey];
