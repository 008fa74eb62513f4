import { createHttpClient } from '../http/httpClient.ts';
import type { ProviderDeps, SignInProvider, SignInSettings } from './provider.ts';

/** One answer of an issuer, bytes. */
const MAX_ANSWER = 256 * 1024;

export type SignIn<S extends SignInSettings> = {
  /** In the order of the settings. */
  providers: readonly S[];
  of: (id: string) => { settings: S; provider: SignInProvider } | undefined;
  close: () => Promise<void>;
};

/** The issuers that people may sign in with. @param deps.allow private addresses that issuers may have, as http tasks have them */
export function createSignIn<S extends SignInSettings>(providers: readonly S[], deps: { allow: string; clock: () => number }): SignIn<S> {
  const http = createHttpClient({ allow: deps.allow, maxBodyBytes: MAX_ANSWER });
  const known = new Map(
    providers.map((settings) => {
      return [settings.id, { settings, provider: whenAsked(settings, { http, clock: deps.clock }) }];
    }),
  );
  return { providers, of: (id) => known.get(id), close: http.close };
}

/** Its library takes some megabytes, which a process has no need of before somebody comes. */
function whenAsked(settings: SignInSettings, deps: ProviderDeps): SignInProvider {
  let made: Promise<SignInProvider> | undefined;
  const make = async () => {
    if (settings.protocol === 'github') return (await import('./github.ts')).createGithubProvider(settings, deps);
    return (await import('./oidc.ts')).createOidcProvider(settings, deps);
  };
  const provider = () => (made ??= make());
  return {
    authorizationUrl: async (expected) => (await provider()).authorizationUrl(expected),
    finish: async (answer, expected) => (await provider()).finish(answer, expected),
    loggedOut: async (token) => (await provider()).loggedOut(token),
  };
}
