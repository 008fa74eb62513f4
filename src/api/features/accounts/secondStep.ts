import { factorSubject, factorSubjects } from '../../../domain/account/trySubjects.ts';
import { Problem } from '../../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import { peekOneTime, redeemOneTime, tokenHash } from '../../../db/oneTime.ts';
import { findTotp, takeRecoveryCode, takeTotpStep, type TotpRow } from '../../../db/repositories/secondFactors.ts';
import { clearTries } from '../../../db/tries.ts';
import type { AssertionResponse } from '../../../providers/passkey/passkeys.ts';
import { newTotpSecret, totpStep } from '../../../providers/totp/totp.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import type { Origin } from '../../auth/origin.ts';
import { totpPlace } from '../../auth/totpPlace.ts';
import { requireTry } from '../../auth/tries.ts';
import type { Deps } from '../../deps.ts';
import { completeSignIn, type SignedIn, type SignInHow } from './completeSignIn.ts';
import { assertPasskey } from './passkeyAssertion.ts';

/** A second factor as it is shown: one of these. */
export type Shown = { code: string } | { recoveryCode: string } | { passkey: AssertionResponse };

const methodOf = (shown: Shown) => ('code' in shown ? 'totp' : 'recoveryCode' in shown ? 'recovery' : 'passkey');

/** How recovery codes are compared: people type them with and without dashes. */
export const plainCode = (code: string): string => code.replaceAll(/[\s-]/g, '').toUpperCase();

/**
 * Ends a sign-in that waits for a second factor. A token that is none is answered as a wrong code.
 * @throws Problem invalid_code | too_many_tries | sign_in_disabled
 */
export async function secondStep(
  deps: Deps,
  request: { mfaToken: string; shown: Shown },
  origin: Origin,
): Promise<SignedIn & { how: SignInHow }> {
  const { mfaToken, shown } = request;
  const pending = await peekOneTime(deps.db, { token: mfaToken, kind: 'mfa_pending', now: deps.clock() });
  const account = pending?.account ?? null;
  await requireTry(deps, factorSubject(account ?? tokenHash(mfaToken).toString('base64url'), methodOf(shown)));
  const proved = await proveFactor(deps, account, shown);
  const redeemed = proved ? await redeemOneTime(deps.db, { token: mfaToken, kind: 'mfa_pending', now: deps.clock() }) : undefined;
  if (account === null || !redeemed) {
    await auditAccount(deps, { action: 'auth.login_failed', account, refused: 'invalid_code', data: { method: methodOf(shown) } });
    throw new Problem('invalid_code');
  }
  await clearFactorTries(deps, account);
  const { device, deviceName, ...rest } = redeemed.data as { device: string | null; deviceName: string | null } & Pick<
    SignInHow,
    'remember' | 'transport'
  >;
  const how = { ...rest, device: device ?? undefined, deviceName: deviceName ?? undefined };
  return { ...(await completeSignIn(deps, { account, method: 'password', mfa: true, how, origin })), how };
}

/** Forgets the failures of every second factor of an account: one of them was shown. */
export const clearFactorTries = ({ db }: Pick<Deps, 'db'>, account: string): Promise<number> => clearTries(db, factorSubjects(account));

/** Counts a try of a second factor of an account that has signed in. @throws Problem too_many_tries | sign_in_disabled */
export const requireFactorTry = (deps: Deps, account: string, shown: Shown): Promise<void> =>
  requireTry(deps, factorSubject(account, methodOf(shown)));

/** Whether what is shown proves the account. Each code, step and challenge does so once. @param account null = nobody: as much is done */
export async function proveFactor(deps: Deps, account: string | null, shown: Shown): Promise<boolean> {
  const now = deps.clock();
  if ('passkey' in shown) return (await assertPasskey(deps, shown.passkey, account ?? SYSTEM_WORKSPACE)) !== undefined;
  if ('recoveryCode' in shown)
    return takeRecoveryCode(deps.db, { account: account ?? SYSTEM_WORKSPACE, code: plainCode(shown.recoveryCode), now });
  const totp = await findTotp(deps.db, account);
  const step = totpStep(totp ? openTotp(deps, account ?? '', totp) : newTotpSecret(), shown.code, now);
  if (step === null || account === null || !totp) return false;
  return takeTotpStep(deps.db, { account, step, now });
}

export const openTotp = ({ secretCipher }: Pick<Deps, 'secretCipher'>, account: string, { keyId, sealed }: TotpRow): string =>
  secretCipher.open(totpPlace(account), { keyId, sealed });
