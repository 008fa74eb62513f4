import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { issueOneTime } from '../../../db/oneTime.ts';
import { findAccountByEmail } from '../../../db/repositories/accounts.ts';
import type { UserRow } from '../../../db/repositories/users.ts';
import { withTransaction } from '../../../db/transaction.ts';
import { mailAddress } from '../../auth/accountFields.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import { linkTo } from '../../auth/publicUrl.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import type { Deps } from '../../deps.ts';

/**
 * Sends a link to another address for somebody who cannot reach theirs any more, and a notice to that one: it changes when the link
 * is opened. The operator has just proved who they are: whoever has the address can reset the password.
 * @throws Problem reauthentication_required, invalid_request, email_taken, state_conflict, not_configured
 */
export async function changeUserEmail(deps: Deps, actor: Actor, { user, address }: { user: UserRow; address: string }): Promise<void> {
  requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
  deps.mail.check();
  if (user.status === 'erased') throw new Problem('state_conflict', { detail: 'The account is erased' });
  const email = mailAddress(address);
  if (((await findAccountByEmail(deps.engine, email.key))?.id ?? user.id) !== user.id) throw new Problem('email_taken');
  const [account, ttlMs] = [user.id, deps.config.TIU_VERIFY_TTL];
  await withTransaction(deps.engine, async (tx) => {
    const token = await issueOneTime(tx, { kind: 'change_email', account, data: email, now: deps.clock(), ttlMs });
    await auditAccount({ db: tx }, { action: 'email.change_requested', account, by: actor.principal });
    await deps.mail.post(tx, { to: email.shown, account, ttlMs, ...askMail(user.name, linkTo(deps.config, 'confirm-email', token)) });
    await deps.mail.post(tx, { to: user.email, account, ...noticeMail(user.name) });
  });
}

const askMail = (name: string, link: string) => ({
  subject: 'Confirm your new mail address',
  text: `Who runs the installation was asked to give the account ${name} this mail address. To confirm it, open:

${link}

If you do not know what this is about, nothing has to be done.
`,
});

const noticeMail = (name: string) => ({
  subject: 'Your mail address is about to change',
  text: `Who runs the installation was asked to give the account ${name} another mail address. If this was not you, write to them at once.
`,
});
