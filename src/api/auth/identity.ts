import { openTokens, type Tokens, type TokenSettings } from '../../providers/tokens/tokens.ts';
import { createAuthenticate, type Authenticate, type AuthenticateDeps } from './authenticate.ts';
import { createWatch, type Watch } from './watch.ts';

type Identity = Watch & { tokens: Tokens; authenticate: Authenticate };

/**
 * The tokens of people, who asks, and who stays.
 * @throws Error of a token key that is wrong
 */
export async function openIdentity(settings: TokenSettings, deps: Omit<AuthenticateDeps, 'tokens'>): Promise<Identity> {
  const tokens = await openTokens(settings, deps.clock);
  const authenticate = createAuthenticate({ ...deps, tokens }); // before the watch: it has to forget first
  return { tokens, authenticate, ...createWatch({ authenticate, feed: deps.feed, clock: deps.clock }) };
}
