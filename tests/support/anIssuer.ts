import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type AccountClaims } from 'oidc-provider';
import { form } from './aForger.ts';

export type TestIssuer = {
  /** Its address, without a slash at the end. */
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** What a browser does: follows from the authorization URL to the answer at the redirect URI, signed in there as this person. */
  visit: (authorizationUrl: string, person: string) => Promise<URLSearchParams>;
  /** Ends the session of the last visit of this person. @returns the form that clients are sent */
  logout: (person: string) => Promise<URLSearchParams>;
  close: () => Promise<void>;
};

const CLIENT = { clientId: 'tiu', clientSecret: 'of-this-test-alone' };

/** A certified OpenID provider (oidc-provider) on loopback. @param people claims by subject */
export async function anIssuer(people: Record<string, Omit<AccountClaims, 'sub'>>, redirectUris: string[]): Promise<TestIssuer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const logout = { backchannel_logout_uri: `${issuer}/told`, backchannel_logout_session_required: true };
  const client = { client_id: CLIENT.clientId, client_secret: CLIENT.clientSecret, redirect_uris: redirectUris, ...logout };
  const provider = new Provider(issuer, {
    clients: [{ ...client, response_types: ['code'] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
    pkce: { required: () => true },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...people[sub] }) }),
    cookies: { keys: ['of this test'] },
    // its own brings a dispatcher that this Node's fetch does not take
    fetch: (url, options) => fetch(url, { ...(options as RequestInit), dispatcher: undefined } as unknown as RequestInit),
  });
  const answer = provider.callback();
  const told: URLSearchParams[] = [];
  server.on('request', (request, response) => {
    if (request.url === '/told')
      void form(request).then((fields) => {
        told.push(fields);
        response.end();
      });
    else void handle(provider, answer, { request, response });
  });
  const jars = new Map<string, Jar>();
  return {
    issuer,
    ...CLIENT,
    visit: (authorizationUrl, person) => {
      const jar: Jar = new Map();
      jars.set(person, jar);
      return visit(authorizationUrl, { person, jar, redirectUris });
    },
    logout: async (person) => {
      await endSession(issuer, jars.get(person) ?? new Map<string, string>());
      const fields = told.pop();
      if (!fields) throw new Error('nobody was told');
      return fields;
    },
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

/** Cookies of a browser. */
type Jar = Map<string, string>;
type Browser = { person: string; jar: Jar; redirectUris: string[] };

async function browse(at: URL, { person, jar }: Pick<Browser, 'person' | 'jar'>, body?: URLSearchParams): Promise<Response> {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const headers = { 'x-person': person, ...(cookie !== '' && { cookie }) };
  const response = await fetch(at, { redirect: 'manual', headers, ...(body && { method: 'POST', body }) });
  for (const line of response.headers.getSetCookie()) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    jar.set(name, value);
  }
  return response;
}

/** What a person does who signs out there: asks, and confirms. */
async function endSession(issuer: string, jar: Jar): Promise<void> {
  const page = await (await browse(new URL(`${issuer}/session/end`), { person: '', jar })).text();
  const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(page) ?? [];
  await browse(new URL(`${issuer}/session/end/confirm`), { person: '', jar }, new URLSearchParams({ xsrf, logout: 'yes' }));
}

async function visit(authorizationUrl: string, { person, jar, redirectUris }: Browser): Promise<URLSearchParams> {
  let at = new URL(authorizationUrl);
  for (let hops = 0; hops < 10; hops += 1) {
    const response = await browse(at, { person, jar });
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
