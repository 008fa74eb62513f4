import { createPublicKey, verify, type JsonWebKey } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, grant, signIn, TOKEN_KEYS } from './aPerson.ts';

/**
 * What Temporal's server does with our tokens when its authorizer and claim mapper are the default ones, written anew after
 * common/authorization/{default_token_key_provider,default_jwt_claim_mapper,default_authorizer,roles}.go of temporalio/temporal:
 * keys of the sources by `kid`, RS256 and ES256 alone; `Bearer`, any case; `sub` a string; `permissions` a list of
 * `<namespace>:<role>`, split at the first colon, `temporal-system` being the cluster; namespaces looked up in lower case.
 */
type Claims = { subject: string; system: number; namespaces: Map<string, number> };
const ROLES: Readonly<Record<string, number>> = { worker: 1, read: 2, write: 4, admin: 8 };

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, TEMPORAL_NAMESPACE: 'Production' });
});
afterAll(() => api.stop());

async function readKeys(source: string): Promise<Map<string, JsonWebKey>> {
  const { keys } = (await (await fetch(source)).json()) as { keys: (JsonWebKey & { kid: string })[] };
  return new Map(keys.map((key) => [key.kid, key]));
}

function claimsOf(header: string, keys: Map<string, JsonWebKey>): Claims {
  const [scheme = '', token = ''] = header.split(' ');
  if (scheme.toLowerCase() !== 'bearer') throw new Error('unexpected name in authorization token');
  const [head = '', body = '', signature = ''] = token.split('.');
  const json = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  const { alg, kid } = json(head);
  const key = alg === 'ES256' ? keys.get(kid as string) : undefined; // we have no RSA keys
  const payload = json(body);
  const signed = key && { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' as const };
  if (!signed || !verify('sha256', Buffer.from(`${head}.${body}`), signed, Buffer.from(signature, 'base64url')))
    throw new Error('signature');
  if ((payload.exp as number) * 1_000 <= Date.now() || typeof payload.sub !== 'string') throw new Error('claims');
  const claims: Claims = { subject: payload.sub, system: 0, namespaces: new Map() };
  for (const permission of Array.isArray(payload.permissions) ? (payload.permissions as string[]) : []) {
    const at = permission.indexOf(':');
    if (at < 0) continue;
    const [scope, role] = [permission.slice(0, at), ROLES[permission.slice(at + 1).toLowerCase()] ?? 0];
    if (scope === 'temporal-system') claims.system |= role;
    else claims.namespaces.set(scope, (claims.namespaces.get(scope) ?? 0) | role);
  }
  return claims;
}

type Call = 'list' | 'terminate' | 'operator' | 'namespaces';
const READS: ReadonlySet<Call> = new Set<Call>(['list', 'namespaces']);

function allows({ system, namespaces }: Claims, call: Call, namespace: string): boolean {
  if (system >= 4 || (system >= 2 && READS.has(call))) return true;
  if (call === 'namespaces') return false; // it names none
  const role = namespaces.get(namespace.toLowerCase()) ?? 0;
  if (call === 'operator') return role >= 8;
  return role >= 4 || (role >= 2 && READS.has(call));
}

const CALLS: readonly Call[] = ['list', 'terminate', 'operator', 'namespaces'];

async function allowedTo(roles: Record<string, string>, namespace = 'Production'): Promise<Call[]> {
  const opened = await signIn(api.deps, await anAccount(api.deps.db, roles));
  const claims = claimsOf(`Bearer ${opened.accessToken}`, await readKeys(`${api.url}/.well-known/jwks.json`));
  // the product takes it as before
  expect((await api.call('GET', '/api/v1/auth/me', { key: opened.accessToken })).status).toBe(200);
  return CALLS.filter((call) => allows(claims, call, namespace));
}

test.each([
  ['owner', CALLS],
  ['admin', CALLS],
  ['project_manager', ['list', 'terminate']],
  ['developer', ['list', 'terminate']],
  ['viewer', ['list']],
])('Temporal lets a member of the system workspace do what the role says: %s', async (role, calls) => {
  expect(await allowedTo({ [SYSTEM_WORKSPACE]: role })).toEqual(calls);
});

test('in other namespaces only admins may anything', async () => {
  expect(await allowedTo({ [SYSTEM_WORKSPACE]: 'developer' }, 'other')).toEqual([]);
  expect(await allowedTo({ [SYSTEM_WORKSPACE]: 'admin' }, 'other')).toEqual(CALLS);
});

test('who is an owner elsewhere, or a member of nothing, may nothing', async () => {
  expect(await allowedTo({ [api.owner.workspace]: 'owner' })).toEqual([]);
  expect(await allowedTo({})).toEqual([]);
});

test('an operator who acts in another workspace may nothing until they switch, and a renewed token says what holds by then', async () => {
  const account = await anAccount(api.deps.db, { [api.owner.workspace]: 'viewer', [SYSTEM_WORKSPACE]: 'admin' });
  const keys = await readKeys(`${api.url}/.well-known/jwks.json`);
  const opened = await signIn(api.deps, account, { workspace: api.owner.workspace });
  expect(claimsOf(`Bearer ${opened.accessToken}`, keys)).toEqual({ subject: account, system: 0, namespaces: new Map() });
  const switched = await api.call('POST', '/api/v1/auth/switch', { key: opened.accessToken, body: { workspace: SYSTEM_WORKSPACE } });
  expect(claimsOf(`bearer ${(switched.body as typeof opened).accessToken}`, keys).system).toBe(8);
  await grant(api.deps.db, { account, workspace: SYSTEM_WORKSPACE, role: 'viewer' });
  const renewed = await api.call('POST', '/api/v1/auth/refresh', { key: null, body: { refreshToken: opened.refreshToken } });
  expect(claimsOf(`Bearer ${(renewed.body as typeof opened).accessToken}`, keys)).toEqual({
    subject: account,
    system: 0,
    namespaces: new Map([['production', 2]]),
  });
});

test('a token that somebody has changed is refused', async () => {
  const opened = await signIn(api.deps, await anAccount(api.deps.db));
  const [head = '', body = '', signature = ''] = opened.accessToken.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
  const forged = Buffer.from(JSON.stringify({ ...claims, permissions: ['temporal-system:admin'] })).toString('base64url');
  const keys = await readKeys(`${api.url}/.well-known/jwks.json`);
  expect(() => claimsOf(`Bearer ${head}.${forged}.${signature}`, keys)).toThrow('signature');
});
