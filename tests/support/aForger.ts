import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type GenerateKeyPairResult, type JWTPayload } from 'jose';

type Answer = (response: ServerResponse, honest: Record<string, unknown>) => void;

export type Lie = {
  /** Changes the claims of the ID token; undefined takes one away. */
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  /** How the ID token is signed: with a key that the issuer does not publish, with none, or as an HMAC with the client's secret or the public key. */
  signature?: 'foreign' | 'none' | 'secret' | 'public key';
  /** The whole answer of the token endpoint, of discovery, of the keys, instead. */
  token?: Answer;
  discovery?: Answer;
  keys?: Answer;
  userinfo?: Record<string, unknown>;
};

export type TestForger = {
  issuer: string;
  clientId: string;
  clientSecret: string;
  lie: (lie: Lie) => void;
  /** A logout token, honest but for the lie. */
  logoutToken: (lie?: Lie) => Promise<string>;
  close: () => Promise<void>;
};

const CLIENT = { clientId: 'tiu', clientSecret: 'a secret of this test, and long enough for HS256' };
/** What a logout token says and an ID token does not, and the other way round. */
const LOGOUT = {
  ...{ events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, sid: 's' },
  ...{ nonce: undefined, at_hash: undefined, email: undefined, email_verified: undefined },
};
const ACCESS_TOKEN = 'an-access-token';

/** An OpenID issuer written by hand, which can lie in one way at a time. Answers any code as the person with the subject `p`; the code is the nonce. */
export async function aForger(): Promise<TestForger> {
  const [own, foreign] = await Promise.all([generateKeyPair('RS256'), generateKeyPair('RS256')]);
  const publicKey = { ...(await exportJWK(own.publicKey)), kid: 'k', alg: 'RS256', use: 'sig' };
  let lie: Lie = {};
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const idToken = (nonce: string) => sign({ issuer, nonce, lie, own, foreign, publicKey: JSON.stringify(publicKey) });
  const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => void | Promise<void>> = {
    '/.well-known/openid-configuration': (_, response) => {
      (lie.discovery ?? json)(response, discovery(issuer));
    },
    '/keys': (_, response) => {
      (lie.keys ?? json)(response, { keys: [publicKey] });
    },
    '/userinfo': (_, response) => {
      json(response, lie.userinfo ?? { sub: 'p' });
    },
    '/token': async (request, response) => {
      const nonce = (await form(request)).get('code') ?? '';
      (lie.token ?? json)(response, { access_token: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 300, id_token: await idToken(nonce) });
    },
  };
  server.on('request', (request, response) => void answers[new URL(request.url ?? '/', issuer).pathname]?.(request, response));
  return {
    ...{ issuer, ...CLIENT },
    lie: (next) => {
      lie = next;
    },
    logoutToken: (of = {}) => {
      const claims = { ...LOGOUT, jti: randomUUID(), ...of.claims };
      return sign({ issuer, nonce: '', lie: { ...of, claims }, own, foreign, publicKey: JSON.stringify(publicKey) });
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const discovery = (issuer: string) => ({
  ...{ issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys` },
  ...{ userinfo_endpoint: `${issuer}/userinfo`, response_types_supported: ['code'], subject_types_supported: ['public'] },
  ...{ id_token_signing_alg_values_supported: ['RS256'], authorization_response_iss_parameter_supported: true },
});

/** The fields of a form that was posted. */
export async function form(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

type Signing = { issuer: string; nonce: string; lie: Lie; own: GenerateKeyPairResult; foreign: GenerateKeyPairResult; publicKey: string };

async function sign({ issuer, nonce, lie, own, foreign, publicKey }: Signing): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const honest = {
    ...{ iss: issuer, sub: 'p', aud: CLIENT.clientId, exp: now + 300, iat: now, nonce, email: 'p@example.com', email_verified: true },
    at_hash: createHash('sha256').update(ACCESS_TOKEN).digest().subarray(0, 16).toString('base64url'),
  };
  const told = Object.entries<unknown>({ ...honest, ...lie.claims }).filter(([, value]) => value !== undefined);
  const claims = Object.fromEntries(told) as JWTPayload;
  const token = (alg: string) => new SignJWT(claims).setProtectedHeader({ alg, kid: 'k', ...lie.header });
  if (lie.signature === 'none') return new UnsecuredJWT(claims).encode();
  if (lie.signature === 'secret') return token('HS256').sign(Buffer.from(CLIENT.clientSecret));
  if (lie.signature === 'public key') return token('HS256').sign(Buffer.from(publicKey));
  return token('RS256').sign(lie.signature === 'foreign' ? foreign.privateKey : own.privateKey, { crit: { x: true } });
}

/** Answers with JSON. */
export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
