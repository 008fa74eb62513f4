import { loginSubject } from '../../../domain/account/trySubjects.ts';
import { isObject } from '../../../domain/json.ts';
import { Problem } from '../../../domain/problem.ts';
import { issueOneTime, peekOneTime, redeemOneTime } from '../../../db/oneTime.ts';
import { endSessions } from '../../../db/sessions.ts';
import {
  findAccount,
  findAccountByEmail,
  forgetDevices,
  proveEmail,
  setPassword,
  type AccountInfo,
} from '../../../db/repositories/accounts.ts';
import { listFactors } from '../../../db/repositories/secondFactors.ts';
import { withTransaction, type Rows } from '../../../db/transaction.ts';
import { clearTries } from '../../../db/tries.ts';
import { mailAddress } from '../../auth/accountFields.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import { newPassword } from '../../auth/newPassword.ts';
import { linkTo } from '../../auth/publicUrl.ts';
import { requireMail } from '../../auth/tries.ts';
import type { Deps } from '../../deps.ts';
import { passwordChangedMail, resetMail } from './mails.ts';

/** Sends a link to set another password, if somebody has the address. Nothing in the answer says so. @throws Problem rate_limited */
export async function forgotPassword(deps: Deps, request: { email: string }): Promise<void> {
  const { config, db } = deps;
  deps.mail.check();
  const email = mailAddress(request.email);
  await requireMail(deps, email.key);
  const found = await findAccountByEmail(db, email.key);
  const account = found?.status === 'active' && found.emailVerified !== null ? found : undefined;
  const ttlMs = config.TIU_RESET_TTL;
  const [id, name] = [account?.id ?? null, account?.name ?? ''];
  await withTransaction(db, async (tx) => {
    // also for nobody, so that as much is done: that token opens nothing, and that mail goes nowhere
    const token = await issueOneTime(tx, { kind: 'reset_password', account: id, now: deps.clock(), ttlMs });
    await auditAccount({ db: tx }, { action: 'password.reset_requested', account: id });
    const text = resetMail({ name, ttlMs, link: linkTo(config, 'reset-password', token) });
    await deps.mail.post(tx, { to: account?.email ?? null, account: id, ttlMs, ...text });
  });
}

/**
 * Sets another password with a link. It ends every session and forgets every device; a second factor is asked for as before.
 * @throws Problem link_invalid | invalid_request
 */
export async function resetPassword(deps: Deps, request: { token: string; password: string }): Promise<void> {
  const { token } = request;
  const now = deps.clock();
  const pending = await peekOneTime(deps.db, { token, kind: 'reset_password', now });
  const account = pending?.account == null ? undefined : await findAccount(deps.db, pending.account);
  if (account?.status !== 'active') {
    await auditAccount(deps, { action: 'password.reset_failed', account: account?.id ?? null, refused: 'link_invalid' });
    throw new Problem('link_invalid');
  }
  const password = await passwordFor(deps, account, { password: request.password });
  await withTransaction(deps.db, async (tx) => {
    if (!(await redeemOneTime(tx, { token, kind: 'reset_password', now }))) throw new Problem('link_invalid');
    const by = `user:${account.id}`;
    await setPassword(tx, { account: account.id, password, action: 'password.reset', by, now });
    // a link that came with the account has shown that the address is theirs
    if (isObject(pending?.data) && pending.data.proves === account.emailKey) await proveEmail(tx, account.id, now);
    await forgetDevices(tx, account.id);
    await clearLogin(tx, account);
    await endSessions(tx, { account: account.id, reason: 'password_reset', by });
    await deps.mail.post(tx, { to: account.email, account: account.id, ...passwordChangedMail(account) });
  });
}

const clearLogin = (db: Rows, { nameKey, emailKey }: AccountInfo): Promise<number> =>
  clearTries(db, [nameKey, emailKey].filter((key) => key !== null).map(loginSubject));

/** Judges and hashes a password that an account is to have. @throws Problem invalid_request */
export async function passwordFor(deps: Deps, account: AccountInfo, wanted: { password: string; pointer?: string }) {
  const { totp, passkeys } = await listFactors(deps.db, account.id);
  const near = [account.name, account.email, account.fullName];
  return newPassword(deps, { ...wanted, near, secondFactor: totp !== null || passkeys.length > 0 });
}
