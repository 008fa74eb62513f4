import { normaliseEmail, normaliseName } from '../../../domain/account/names.ts';
import { deviceSubject, loginSubject } from '../../../domain/account/trySubjects.ts';
import { Problem } from '../../../domain/problem.ts';
import { issueOneTime, tokenHash } from '../../../db/oneTime.ts';
import { findForSignIn, replaceHash, type SignInAccount } from '../../../db/repositories/accounts.ts';
import { clearTries } from '../../../db/tries.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import type { Origin } from '../../auth/origin.ts';
import { requireTry } from '../../auth/tries.ts';
import type { Deps } from '../../deps.ts';
import { completeSignIn, type SignedIn, type SignInHow } from './completeSignIn.ts';
import { assertionOptions } from './passkeyAssertion.ts';

type SignInRequest = SignInHow & { identifier: string; password: string };

/** What comes after the password: a session, or a second factor. */
export type MfaRequired = {
  mfaToken: string;
  expiresIn: number;
  methods: ('totp' | 'recovery' | 'passkey')[];
  passkeyOptions: object | null;
};

const HALF = 0.5;

/**
 * Signs in with a password. Whether anybody has the name shows in nothing: the same statements, the same hash, the same answer.
 * @throws Problem invalid_credentials | too_many_tries | sign_in_disabled | overloaded
 */
export async function signIn(deps: Deps, request: SignInRequest, origin: Origin): Promise<SignedIn | MfaRequired> {
  const key = keyOf(request.identifier);
  const device = request.device === undefined ? null : tokenHash(request.device);
  const account = await findForSignIn(deps.db, { key, device, now: deps.clock() });
  // who has signed in from this device before is not held up by what strangers try
  const subject = account?.knownDevice && device ? deviceSubject(device.toString('base64url')) : loginSubject(key);
  await requireTry(deps, subject, account?.knownDevice ? 1 : HALF);
  const { matches, outdated } = await deps.passwords.verify(account?.password ?? null, request.password);
  if (!account || !matches || account.status !== 'active') {
    await auditAccount(deps, { action: 'auth.login_failed', account: account?.id ?? null, refused: 'invalid_credentials' });
    throw new Problem('invalid_credentials');
  }
  await clearTries(deps.db, [subject, ...[account.nameKey, account.emailKey].filter((known) => known !== null).map(loginSubject)]);
  if (outdated && account.password !== null) {
    await replaceHash(deps.db, { account: account.id, before: account.password, hash: await deps.passwords.hash(request.password) });
  }
  if (account.totp || account.passkey) return askSecondFactor(deps, account, request);
  return completeSignIn(deps, { account: account.id, method: 'password', mfa: false, how: request, origin });
}

/** What the identifier is looked up by. Something that is neither name nor address is nobody's, and is treated like the others. */
function keyOf(identifier: string): string {
  const normal = normaliseEmail(identifier) ?? normaliseName(identifier);
  return normal?.key ?? `?${tokenHash(identifier).toString('hex')}`;
}

async function askSecondFactor(deps: Deps, account: SignInAccount, how: SignInHow): Promise<MfaRequired> {
  const { TIU_MFA_TTL: ttlMs } = deps.config;
  const { device = null, deviceName = null, remember, transport } = how;
  const mfaToken = await issueOneTime(deps.db, {
    ...{ kind: 'mfa_pending', account: account.id, now: deps.clock(), ttlMs },
    data: { device, deviceName, remember, transport },
  });
  return {
    mfaToken,
    expiresIn: Math.floor(ttlMs / 1000),
    methods: [...(account.totp ? ['totp' as const] : []), ...(account.passkey ? ['passkey' as const] : []), 'recovery'],
    passkeyOptions: account.passkey ? await assertionOptions(deps, account.id) : null,
  };
}
