import * as client from 'openid-client';
import { isObject, type Json, type JsonObject } from '../../domain/json.ts';
import { guardedFetch } from './guardedFetch.ts';
import { refused, s256 } from './answers.ts';
import type { ProviderDeps, ProvenIdentity, SignInProvider, SignInSettings } from './provider.ts';

const TIMEOUT_S = 10;

/**
 * GitHub: OAuth 2 code flow with PKCE, then the user API. It has no ID token: who it was is what the API answers to the token.
 * https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
 */
export function createGithubProvider(settings: SignInSettings, deps: ProviderDeps): SignInProvider {
  const { issuer, clientId, clientSecret } = settings;
  const config = new client.Configuration(
    { issuer, authorization_endpoint: `${issuer}/login/oauth/authorize`, token_endpoint: `${issuer}/login/oauth/access_token` },
    clientId,
    clientSecret,
    client.ClientSecretPost(clientSecret),
  );
  config.timeout = TIMEOUT_S;
  config[client.customFetch] = guardedFetch(deps.http);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so only to stand out; the settings ask for it by name
  if (settings.insecure) client.allowInsecureRequests(config);
  return {
    authorizationUrl: (expected) =>
      Promise.resolve(
        client.buildAuthorizationUrl(config, {
          ...{ response_type: 'code', redirect_uri: expected.redirectUri, scope: settings.scopes.join(' '), state: expected.state },
          ...{ code_challenge: s256(expected.codeVerifier), code_challenge_method: 'S256' },
        }).href,
      ),
    finish: async (answer, expected) => {
      try {
        const current = new URL(expected.redirectUri);
        current.search = answer.toString();
        const tokens = await client.authorizationCodeGrant(config, current, {
          pkceCodeVerifier: expected.codeVerifier,
          expectedState: expected.state,
        });
        return await whoIs(config, settings, tokens.access_token);
      } catch (error) {
        throw refused(error);
      }
    },
    loggedOut: () => Promise.reject(refused(new Error('GitHub says nothing of sessions that end'))),
  };
}

async function whoIs(config: client.Configuration, settings: SignInSettings, token: string): Promise<ProvenIdentity> {
  const ask = async (path: string): Promise<Json> => {
    const headers = new Headers({ accept: 'application/vnd.github+json', 'user-agent': 'tiu' });
    const answer = await client.fetchProtectedResource(config, token, new URL(settings.apiUrl + path), 'GET', undefined, headers);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return (await answer.json()) as Json;
  };
  const user = await ask('/user');
  if (!isObject(user) || typeof user.id !== 'number') throw new Error('no id in /user');
  const email = await primaryEmail(ask);
  return {
    ...{ issuer: settings.issuer, subject: String(user.id), emailVerified: email !== undefined, mfa: false },
    ...(email !== undefined && { email }),
    ...(typeof user.name === 'string' && { fullName: user.name }),
    ...(typeof user.login === 'string' && { userName: user.login }),
  };
}

/** Only the primary address counts, and only when GitHub has verified it. */
async function primaryEmail(ask: (path: string) => Promise<Json>): Promise<string | undefined> {
  const list = await ask('/user/emails');
  const primary = (Array.isArray(list) ? list : []).find(
    (one): one is JsonObject => isObject(one) && one.primary === true && one.verified === true,
  );
  return typeof primary?.email === 'string' ? primary.email : undefined;
}
