import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type AccountClaims } from 'oidc-provider';

export type TestIssuer = {
  /** Its address, without a slash at the end. */
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** What a browser does: follows from the authorization URL to the answer at the redirect URI, signed in there as this person. */
  visit: (authorizationUrl: string, person: string) => Promise<URLSearchParams>;
  close: () => Promise<void>;
};

const CLIENT = { clientId: 'tiu', clientSecret: 'of-this-test-alone' };

/** A certified OpenID provider (oidc-provider) on loopback. @param people claims by subject */
export async function anIssuer(people: Record<string, Omit<AccountClaims, 'sub'>>, redirectUris: string[]): Promise<TestIssuer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: CLIENT.clientId, client_secret: CLIENT.clientSecret, redirect_uris: redirectUris, response_types: ['code'] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    pkce: { required: () => true },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...people[sub] }) }),
    cookies: { keys: ['of this test'] },
  });
  const answer = provider.callback();
  server.on('request', (request, response) => void handle(provider, answer, { request, response }));
  return {
    issuer,
    ...CLIENT,
    visit: (authorizationUrl, person) => visit(authorizationUrl, person, redirectUris),
    close: () => closed(server),
  };
}

type Exchange = { request: IncomingMessage; response: ServerResponse };

/** Signs in whoever the header names and grants what was asked for, without a page. */
async function handle(
  provider: Provider,
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
  { request, response }: Exchange,
) {
  if (!request.url?.startsWith('/interaction/')) return answer(request, response);
  const details = await provider.interactionDetails(request, response);
  const accountId = String(request.headers['x-person']);
  const grant = new provider.Grant({ accountId, clientId: details.params.client_id as string });
  grant.addOIDCScope(details.params.scope as string);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { login: { accountId }, consent }, { mergeWithLastSubmission: true });
}

async function visit(authorizationUrl: string, person: string, redirectUris: string[]): Promise<URLSearchParams> {
  const jar = new Map<string, string>();
  let at = new URL(authorizationUrl);
  for (let hops = 0; hops < 10; hops += 1) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(at, { redirect: 'manual', headers: { 'x-person': person, ...(cookie !== '' && { cookie }) } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      jar.set(name, value);
    }
    const location = response.headers.get('location');
    if (location === null) throw new Error(`${at.pathname}: ${response.status} ${await response.text()}`);
    at = new URL(location, at);
    if (redirectUris.some((uri) => at.href.startsWith(uri))) return at.searchParams;
  }
  throw new Error('too many hops');
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
