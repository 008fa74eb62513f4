import type { Actor } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';

/** Lets on who has shown the second factor that is required of them, if one is. @throws Problem second_factor_required */
export function requireSecondFactor({ unproven, session }: Actor): void {
  if (!unproven) return;
  const detail = session
    ? 'Set one up: POST /api/v1/auth/second-factors/totp or /api/v1/auth/second-factors/passkeys/options; who has one shows it: POST /api/v1/auth/reauthenticate'
    : 'The person whose key this is has to sign in and set one up: /api/v1/auth/second-factors';
  throw new Problem('second_factor_required', { detail });
}
