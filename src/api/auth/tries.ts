import { Problem } from '../../domain/problem.ts';
import { takeCounts, takeTry } from '../../db/tries.ts';
import type { Deps } from '../deps.ts';

type TryDeps = Pick<Deps, 'config' | 'db' | 'clock'>;

/** Who tries: what is tried (a name, a device, a token), and from which network. */
export type Trier = { subject: string; network: string };

/**
 * Counts a try before anything of it is computed. However many come at once, no more go on than may.
 * @param share of the failures that an account may have; what opens the same account in two ways has half of them each
 * @throws Problem too_many_tries (later) | sign_in_disabled (only after a reset)
 */
export async function requireTry({ config, db, clock }: TryDeps, trier: Trier, share = 1): Promise<void> {
  const refused = await takeTry(db, {
    ...trier,
    now: clock(),
    limits: {
      free: config.TIU_LOGIN_TRIES,
      delayMs: config.TIU_LOGIN_DELAY,
      maxDelayMs: config.TIU_LOGIN_MAX_DELAY,
      max: Math.floor(config.TIU_LOGIN_MAX_FAILURES * share),
      network: networkLimits(config),
    },
  });
  if (!refused) return;
  if (refused.refused === 'disabled') throw new Problem('sign_in_disabled');
  throw new Problem('too_many_tries', { retryAfterMs: refused.againMs });
}

const HOUR_MS = 3_600_000;

/** Counts a mail that anybody can ask for, by address and network, whether or not the address is known. @throws Problem too_many_tries */
export async function requireMail({ config, db, clock }: TryDeps, { address, network }: { address: string; network: string }): Promise<void> {
  const againMs = await takeCounts(db, {
    ...{ subject: `mail:${address}`, network, now: clock() },
    limits: { subject: { count: config.TIU_MAILS_PER_ADDRESS, windowMs: HOUR_MS }, network: networkLimits(config) },
  });
  if (againMs !== undefined) throw new Problem('too_many_tries', { retryAfterMs: againMs });
}

const networkLimits = (config: Deps['config']) => ({ count: config.TIU_LOGIN_NETWORK_TRIES, windowMs: config.TIU_LOGIN_WINDOW });
