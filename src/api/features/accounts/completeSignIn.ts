import { newToken, tokenHash } from '../../../db/oneTime.ts';
import { rememberDevice } from '../../../db/repositories/accounts.ts';
import { openSession, type OpenedSession } from '../../auth/openSession.ts';
import type { Origin } from '../../auth/origin.ts';
import type { Deps } from '../../deps.ts';

/** How somebody wants to be signed in. `device`: the token that an earlier sign-in from it was answered. */
export type SignInHow = { device?: string | undefined; deviceName?: string | undefined; remember: boolean; transport: 'token' | 'cookie' };

/** `deviceToken`: of the device, to be sent with the next sign-in. */
export type SignedIn = { opened: OpenedSession; deviceToken: string };

type Proof = { account: string; method: 'password' | 'passkey'; mfa: boolean; how: SignInHow; origin: Origin };

const DAY_MS = 86_400_000;

/** Opens the session of somebody who has shown all that is asked for, and makes their device known. */
export async function completeSignIn(deps: Deps, { account, method, mfa, how, origin }: Proof): Promise<SignedIn> {
  const { device = newToken('tiud_'), deviceName, remember } = how;
  const opened = await openSession(deps, {
    ...{ account, method, mfa, remember, ip: origin.ip, userAgent: origin.userAgent },
    ...(deviceName === undefined ? {} : { device: deviceName }),
  });
  await rememberDevice(deps.db, {
    ...{ hash: tokenHash(device), account, now: deps.clock() },
    ttlMs: deps.config.TIU_DEVICE_DAYS * DAY_MS,
  });
  return { opened, deviceToken: device };
}
