import { createHttpClient } from '../http/httpClient.ts';
import { createGithubProvider } from './github.ts';
import { createOidcProvider } from './oidc.ts';
import type { SignInProvider, SignInSettings } from './provider.ts';

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
      const create = settings.protocol === 'github' ? createGithubProvider : createOidcProvider;
      return [settings.id, { settings, provider: create(settings, { http, clock: deps.clock }) }];
    }),
  );
  return { providers, of: (id) => known.get(id), close: http.close };
}
