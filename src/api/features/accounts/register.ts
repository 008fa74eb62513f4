import type { Normalised } from '../../../domain/account/names.ts';
import { Problem } from '../../../domain/problem.ts';
import { issueOneTime, peekOneTime, redeemOneTime } from '../../../db/oneTime.ts';
import { createAccount, findAccountByEmail, type HashedPassword } from '../../../db/repositories/accounts.ts';
import { withTransaction } from '../../../db/transaction.ts';
import { accountName, mailAddress } from '../../auth/accountFields.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import { newPassword } from '../../auth/newPassword.ts';
import { linkTo } from '../../auth/publicUrl.ts';
import { requireMail, requireTry } from '../../auth/tries.ts';
import type { Deps } from '../../deps.ts';
import { knownMail, verifyMail } from './mails.ts';

type Registration = { name: string; email: string; password: string; fullName?: string | undefined };
/** What is kept of a registration until its address is confirmed: no account, so that nobody holds a name or address by asking. */
type Pending = { name: Normalised; email: Normalised; fullName: string | null; password: HashedPassword };

/**
 * Sends a link that makes the account. Whether the address or the name are known shows in nothing: the owner of the address is
 * told, and the name is looked at when the link is opened.
 * @throws Problem registration_closed | invalid_request | rate_limited
 */
export async function register(deps: Deps, request: Registration): Promise<void> {
  const { config, db } = deps;
  if (config.TIU_REGISTRATION !== 'open') throw new Problem('registration_closed');
  deps.mail.check();
  const [name, email] = [accountName(request.name), mailAddress(request.email)];
  await requireMail(deps, email.key);
  const password = await newPassword(deps, {
    password: request.password,
    near: [name.shown, email.shown, request.fullName],
    secondFactor: false,
  });
  const owner = await findAccountByEmail(db, email.key);
  const times = { now: deps.clock(), ttlMs: owner ? config.TIU_RESET_TTL : config.TIU_VERIFY_TTL };
  const pending: Pending = { name, email, fullName: request.fullName ?? null, password };
  const mayReset = owner?.status === 'active' && owner.emailVerified !== null;
  const account = owner?.id ?? null;
  await withTransaction(db, async (tx) => {
    const token = await issueOneTime(tx, {
      ...times,
      ...(owner ? { kind: 'reset_password', account: mayReset ? owner.id : null } : { kind: 'register', data: pending }),
    });
    await auditAccount({ db: tx }, { action: 'account.registration_requested', account, data: { known: owner !== undefined } });
    const text = owner
      ? knownMail({ ...times, name: owner.name, link: mayReset ? linkTo(config, 'reset-password', token) : null })
      : verifyMail({ ...times, name: name.shown, link: linkTo(config, 'verify-email', token) });
    const to = owner ? (owner.toldOfAddress ? (owner.email ?? email.shown) : null) : email.shown;
    await deps.mail.post(tx, { to, account, ttlMs: times.ttlMs, ...text });
  });
}

/**
 * Makes the account of a registration whose link was opened. The password has to be shown again: a link that somebody else has
 * asked for must not make an account with a password of theirs.
 * @param request.name another name, when the one that was asked for is taken
 * @throws Problem link_invalid | invalid_credentials | name_taken (the link stays good) | too_many_tries
 */
export async function verifyRegistration(
  deps: Deps,
  request: { token: string; password: string; name?: string | undefined },
): Promise<{ id: string; name: string; email: string }> {
  const { token } = request;
  const now = deps.clock();
  await requireTry(deps, `register:${token}`);
  const pending = (await peekOneTime(deps.db, { token, kind: 'register', now }))?.data as Pending | undefined;
  const { matches } = await deps.passwords.verify(pending?.password.hash ?? null, request.password);
  if (!pending) throw new Problem('link_invalid');
  if (!matches) throw new Problem('invalid_credentials');
  const name = request.name === undefined ? pending.name : accountName(request.name);
  const id = await withTransaction(deps.db, async (tx) => {
    if (!(await redeemOneTime(tx, { token, kind: 'register', now }))) throw new Problem('link_invalid');
    return createAccount(tx, { ...pending, name, email: { ...pending.email, verified: true }, by: 'public', now });
  }).catch((error: unknown) => {
    // somebody else has confirmed the address meanwhile
    throw error instanceof Problem && error.code === 'email_taken' ? new Problem('link_invalid') : error;
  });
  return { id, name: name.shown, email: pending.email.shown };
}
