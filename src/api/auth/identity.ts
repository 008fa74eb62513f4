import { createMailer, type Mailer } from '../../providers/mail/mailer.ts';
import { createOutbox } from '../../providers/mail/outbox.ts';
import { readCommonPasswords } from '../../providers/password/commonPasswords.ts';
import { createPasswords } from '../../providers/password/passwords.ts';
import type { SecretCipher } from '../../providers/secretCipher/secretCipher.ts';
import { createSignIn } from '../../providers/signIn/signIn.ts';
import { openTokens } from '../../providers/tokens/tokens.ts';
import type { Config } from '../../runtime/config.ts';
import { readSignInProviders } from '../../runtime/signInProviders.ts';
import type { Deps } from '../deps.ts';
import type { Log } from '../log.ts';
import type { ApiMetrics } from '../metrics.ts';
import { createAuthenticate, type AuthenticateDeps } from './authenticate.ts';
import { createAccountMail } from './mail.ts';
import { readProxies } from './origin.ts';
import { createRefusals } from './refusals.ts';
import { createWatch } from './watch.ts';

type IdentityDeps = Omit<AuthenticateDeps, 'tokens' | 'requireMfa'> & { log: Log; metrics: ApiMetrics; secretCipher: SecretCipher };

type Identity = Pick<
  Deps,
  'tokens' | 'authenticate' | 'watch' | 'refusals' | 'proxies' | 'mail' | 'passwords' | 'commonPasswords' | 'signIn'
>;

/**
 * All that is about who asks: tokens, passwords, mails, other issuers, and who stays or is refused.
 * @throws Error of a key or a file of the settings that is wrong
 */
export async function openIdentity(config: Config, deps: IdentityDeps): Promise<{ deps: Identity; close: () => Promise<void> }> {
  const { feed, clock, log, metrics } = deps;
  const signIn = createSignIn(readSignInProviders(config.TIU_SIGN_IN_FILE), { allow: config.TIU_HTTP_ALLOW, clock });
  const tokens = await openTokens(config, clock);
  const authenticate = createAuthenticate({ ...deps, tokens, requireMfa: config.TIU_REQUIRE_MFA }); // before the watch: it has to forget first
  const { watch, close: closeWatch } = createWatch({ authenticate, feed, clock });
  const refusals = createRefusals(deps, config.TIU_AUDIT_REFUSALS);
  const mail = createAccountMail(
    { db: deps.db, mailer: mailerOf(config, clock), cipher: deps.secretCipher, log, metrics, clock, random: Math.random },
    { maxQueued: config.TIU_MAX_QUEUED_MAILS, ttlMs: config.TIU_MAIL_TTL },
  );
  const passwords = createPasswords(passwordSettings(config), (what) => {
    metrics.passwordHashes.inc({ what });
  });
  const proxies = readProxies(config.TIU_TRUSTED_PROXIES, config.TIU_PROXY_HEADER);
  return {
    deps: { tokens, authenticate, watch, refusals, proxies, mail, passwords, commonPasswords: readCommonPasswords(), signIn },
    close: async () => {
      closeWatch();
      await Promise.all([mail.close(), signIn.close(), refusals.close()]);
    },
  };
}

/** A mail server, else the folder of the embedded stack, else none. */
function mailerOf(config: Config, clock: () => number): Mailer | undefined {
  const { TIU_SMTP_URL: url, TIU_MAIL_FROM: from, TIU_MAIL_OUTBOX: folder } = config;
  if (url !== undefined) return createMailer({ url, from });
  return folder === undefined ? undefined : createOutbox({ folder, from: from ?? 'TIU <tiu@localhost>', clock });
}

const passwordSettings = (config: Config) => ({
  memoryKiB: config.TIU_PASSWORD_MEMORY,
  passes: config.TIU_PASSWORD_PASSES,
  lanes: config.TIU_PASSWORD_LANES,
  concurrent: config.TIU_MAX_HASHES,
  queued: config.TIU_MAX_QUEUED_HASHES,
});
