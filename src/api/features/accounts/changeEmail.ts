import type { Actor } from '../../../domain/access/can.ts';
import type { Normalised } from '../../../domain/account/names.ts';
import { Problem } from '../../../domain/problem.ts';
import { issueOneTime, redeemOneTime } from '../../../db/oneTime.ts';
import { findAccount, findAccountByEmail, setEmail } from '../../../db/repositories/accounts.ts';
import { withTransaction } from '../../../db/transaction.ts';
import { mailAddress } from '../../auth/accountFields.ts';
import { linkTo } from '../../auth/publicUrl.ts';
import { requireMail } from '../../auth/tries.ts';
import type { Deps } from '../../deps.ts';
import { confirmEmailMail, emailNoticeMail, takenEmailMail } from './mails.ts';
import { freshSelfOf } from './self.ts';

/**
 * Sends a link to a new address, and a notice to the old one. Whether somebody has the address shows in nothing.
 * @throws Problem reauthentication_required | invalid_request | rate_limited
 */
export async function changeEmail(deps: Deps, actor: Actor, request: { email: string }): Promise<void> {
  const { account } = await freshSelfOf(deps, actor);
  deps.mail.check();
  const email = mailAddress(request.email);
  await requireMail(deps, email.key);
  const owner = await findAccountByEmail(deps.db, email.key);
  const ttlMs = deps.config.TIU_VERIFY_TTL;
  const other = owner && owner.id !== account.id ? owner : undefined;
  await withTransaction(deps.db, async (tx) => {
    const token = await issueOneTime(tx, { kind: 'change_email', account: account.id, data: email, now: deps.clock(), ttlMs });
    const link = linkTo(deps.config, 'confirm-email', token);
    await deps.mail.post(
      tx,
      other
        ? { to: other.toldOfAddress ? (other.email ?? email.shown) : null, account: other.id, ttlMs, ...takenEmailMail(other) }
        : { to: email.shown, account: account.id, ttlMs, ...confirmEmailMail({ name: account.name, ttlMs, link }) },
    );
    if (account.emailKey !== email.key)
      await deps.mail.post(tx, { to: account.email, account: account.id, ...emailNoticeMail({ name: account.name, done: false }) });
  });
}

/** Gives an account the address whose link was opened; the old one is told. @throws Problem link_invalid */
export async function confirmEmail(deps: Deps, { token }: { token: string }): Promise<void> {
  const now = deps.clock();
  await withTransaction(deps.db, async (tx) => {
    const redeemed = await redeemOneTime(tx, { token, kind: 'change_email', now });
    const account = redeemed?.account == null ? undefined : await findAccount(tx, redeemed.account);
    if (!redeemed || account?.status !== 'active') throw new Problem('link_invalid');
    const email = redeemed.data as Normalised;
    if (!(await setEmail(tx, { account: account.id, email, by: `user:${account.id}`, now }))) throw new Problem('link_invalid');
    if (account.emailKey !== email.key)
      await deps.mail.post(tx, { to: account.email, account: account.id, ...emailNoticeMail({ name: account.name, done: true }) });
  });
}
