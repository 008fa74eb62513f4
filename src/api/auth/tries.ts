import { createHash } from 'node:crypto';
import { Problem } from '../../domain/problem.ts';
import { takeTry } from '../../db/tries.ts';
import type { Deps } from '../deps.ts';

/**
 * Counts a try of a name, a device, a token, before anything of it is computed. However many come at once, no more go on than may.
 * @param share of the failures that an account may have; what opens the same account in two ways has half of them each
 * @throws Problem too_many_tries (later) | sign_in_disabled (only after a reset)
 */
export async function requireTry({ config, db, clock }: Pick<Deps, 'config' | 'db' | 'clock'>, subject: string, share = 1): Promise<void> {
  const refused = await takeTry(db, {
    subject,
    now: clock(),
    limits: {
      free: config.TIU_LOGIN_TRIES,
      delayMs: config.TIU_LOGIN_DELAY,
      maxDelayMs: config.TIU_LOGIN_MAX_DELAY,
      max: Math.floor(config.TIU_LOGIN_MAX_FAILURES * share),
    },
  });
  if (!refused) return;
  if (refused.refused === 'disabled') throw new Problem('sign_in_disabled');
  throw new Problem('too_many_tries', { retryAfterMs: refused.againMs });
}

/** Counts a mail that anybody can ask for, by its address, known or not. @throws Problem rate_limited */
export const requireMail = ({ limits }: Pick<Deps, 'limits'>, emailKey: string): Promise<void> =>
  limits.take({ class: 'reset', key: `account:${createHash('sha256').update(emailKey).digest('base64url')}` });
