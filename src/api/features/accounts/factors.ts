import { randomBytes } from 'node:crypto';
import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { issueOneTime, redeemOneTime } from '../../../db/oneTime.ts';
import type { AccountInfo } from '../../../db/repositories/accounts.ts';
import {
  addPasskey,
  findTotp,
  listFactors,
  removeFactor,
  setRecoveryCodes,
  setTotp,
  takeTotpStep,
} from '../../../db/repositories/secondFactors.ts';
import { markProved } from '../../../db/sessions.ts';
import { withTransaction, type Rows } from '../../../db/transaction.ts';
import { registrationOptions, verifyRegistration, type RegistrationResponse } from '../../../providers/passkey/passkeys.ts';
import { newTotpSecret, totpStep, totpUri } from '../../../providers/totp/totp.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import { totpPlace } from '../../auth/totpPlace.ts';
import type { Deps } from '../../deps.ts';
import { factorMail } from './mails.ts';
import { known, relyingParty } from './passkeyAssertion.ts';
import { clearFactorTries, openTotp, plainCode, requireFactorTry } from './secondStep.ts';
import { freshSelfOf } from './self.ts';

const RECOVERY_CODES = 10;
/** Without 0, 1, I and O, that people mix up: 5 bits each, 26 of them are 130 bits. */
const LETTERS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';

function newRecoveryCode(): string {
  const letters = Array.from(randomBytes(26), (byte) => LETTERS[byte % LETTERS.length] ?? '').join('');
  return letters.match(/.{1,5}/g)?.join('-') ?? letters;
}

/** Begins an authenticator app: its secret is shown here and never again. @throws Problem reauthentication_required | state_conflict */
export async function beginTotp(deps: Deps, actor: Actor): Promise<{ secret: string; uri: string }> {
  const { account } = await freshSelfOf(deps, actor);
  const secret = newTotpSecret();
  const sealed = deps.secretCipher.seal(totpPlace(account.id), secret);
  if (!(await setTotp(deps.db, { account: account.id, ...sealed, now: deps.clock() })))
    throw new Problem('state_conflict', { detail: 'There is an authenticator app already: remove it first' });
  return { secret, uri: totpUri(secret, account.name) };
}

/** Takes an authenticator app into use once it has shown a code. @returns recovery codes, shown here and never again @throws Problem invalid_code */
export async function confirmTotp(deps: Deps, actor: Actor, { code }: { code: string }): Promise<string[]> {
  const { account } = await freshSelfOf(deps, actor);
  await requireFactorTry(deps, account.id, { code });
  const totp = await findTotp(deps.db, account.id);
  const now = deps.clock();
  const step = totp ? totpStep(openTotp(deps, account.id, totp), code, now) : null;
  if (step === null) throw new Problem('invalid_code');
  const codes = Array.from({ length: RECOVERY_CODES }, newRecoveryCode);
  await withTransaction(deps.db, async (tx) => {
    if (!(await takeTotpStep(tx, { account: account.id, step, confirm: true, now }))) throw new Problem('invalid_code');
    await setRecoveryCodes(tx, { account: account.id, codes: codes.map(plainCode), now });
    await tell(deps, tx, { account, action: 'second_factor.added', kind: 'totp', what: 'an authenticator app was added' });
  });
  await clearFactorTries(deps, account.id);
  await shownIn(deps, actor);
  return codes;
}

/** Other recovery codes in the place of those there were. @throws Problem reauthentication_required | state_conflict */
export async function renewRecoveryCodes(deps: Deps, actor: Actor): Promise<string[]> {
  const { account } = await freshSelfOf(deps, actor);
  const { totp, passkeys } = await listFactors(deps.db, account.id);
  if (totp === null && passkeys.length === 0) throw new Problem('state_conflict', { detail: 'There is no second factor to recover from' });
  const codes = Array.from({ length: RECOVERY_CODES }, newRecoveryCode);
  await withTransaction(deps.db, async (tx) => {
    await setRecoveryCodes(tx, { account: account.id, codes: codes.map(plainCode), now: deps.clock() });
    await tell(deps, tx, { account, action: 'second_factor.recovery_codes', kind: 'recovery', what: 'there are new recovery codes' });
  });
  return codes;
}

/** What a browser is to be given to make a passkey. @throws Problem reauthentication_required | too_many_passkeys */
export async function beginPasskey(deps: Deps, actor: Actor) {
  const { account } = await freshSelfOf(deps, actor);
  const { passkeys } = await listFactors(deps.db, account.id);
  if (passkeys.length >= deps.config.TIU_MAX_PASSKEYS) throw new Problem('too_many_passkeys');
  const options = await registrationOptions(relyingParty(deps), { account: account.id, name: account.name, known: passkeys.map(known) });
  await issueOneTime(deps.db, {
    ...{ kind: 'passkey_register', account: account.id, now: deps.clock(), ttlMs: deps.config.TIU_MFA_TTL, token: options.challenge },
  });
  return options;
}

/** Keeps the passkey that a browser has made. @throws Problem reauthentication_required | link_invalid | too_many_passkeys */
export async function finishPasskey(deps: Deps, actor: Actor, made: { name: string; response: RegistrationResponse }): Promise<string> {
  const { account } = await freshSelfOf(deps, actor);
  const now = deps.clock();
  const passkey = await verifyRegistration(relyingParty(deps), made.response, async (challenge) => {
    const redeemed = await redeemOneTime(deps.db, { token: challenge, kind: 'passkey_register', now });
    return redeemed?.account === account.id;
  });
  if (!passkey) throw new Problem('link_invalid', { detail: 'This is no answer to a challenge that was given for this account' });
  const row = { ...passkey, publicKey: Buffer.from(passkey.publicKey), account: account.id, name: made.name };
  await withTransaction(deps.db, async (tx) => {
    if (!(await addPasskey(tx, { ...row, now, max: deps.config.TIU_MAX_PASSKEYS }))) throw new Problem('too_many_passkeys');
    await tell(deps, tx, { account, action: 'second_factor.added', kind: 'passkey', what: 'a passkey was added' });
  });
  await shownIn(deps, actor);
  return passkey.id;
}

/** Takes a factor away. @param of.passkey its id; without it the authenticator app @throws Problem not_found | last_second_factor */
export async function dropFactor(deps: Deps, actor: Actor, of: { passkey?: string }): Promise<void> {
  const { account } = await freshSelfOf(deps, actor);
  const kind = of.passkey === undefined ? 'totp' : 'passkey';
  const what = kind === 'totp' ? 'the authenticator app was removed' : 'a passkey was removed';
  await withTransaction(deps.db, async (tx) => {
    const removed = await removeFactor(tx, { account: account.id, ...of });
    if (removed === 'missing') throw new Problem('not_found');
    if (removed === 'last') throw new Problem('last_second_factor', { detail: 'Set a longer password first, or add another factor' });
    await tell(deps, tx, { account, action: 'second_factor.removed', kind, what });
  });
}

/** Who has set a factor up has shown it with that. */
async function shownIn(deps: Deps, { session }: Actor): Promise<void> {
  if (!session) return;
  await markProved(deps.engine, session.id);
  deps.authenticate.forget(`session:${session.id}`);
}

type Told = { account: AccountInfo; action: string; kind: string; what: string };

async function tell({ mail }: Deps, tx: Rows, { account: { id, name, email }, action, kind, what }: Told): Promise<void> {
  await auditAccount({ db: tx }, { action, account: id, by: `user:${id}`, data: { kind } });
  await mail.post(tx, { to: email, account: id, ...factorMail({ name, what }) });
}
