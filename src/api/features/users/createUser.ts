import type { z } from 'zod';
import type { Actor } from '../../../domain/access/can.ts';
import { issueOneTime } from '../../../db/oneTime.ts';
import { createAccount } from '../../../db/repositories/accounts.ts';
import { withTransaction } from '../../../db/transaction.ts';
import { accountName, mailAddress } from '../../auth/accountFields.ts';
import { linkTo } from '../../auth/publicUrl.ts';
import type { Deps } from '../../deps.ts';
import type { CreateUser } from './schemas.ts';

/**
 * Makes an account for somebody, who sets its password with the link that goes to their address: so the address is proven by then,
 * and no password is known to anybody else. @returns its id @throws Problem invalid_request, name_taken, email_taken, not_configured
 */
export async function createUser(deps: Deps, actor: Actor, body: z.output<typeof CreateUser>): Promise<string> {
  deps.mail.check();
  const [name, email] = [accountName(body.name), mailAddress(body.email)];
  const [now, ttlMs] = [deps.clock(), deps.config.TIU_INVITATION_TTL];
  const made = await withTransaction(deps.engine, async (tx) => {
    const account = { name, email: { ...email, verified: false }, fullName: body.fullName ?? null, by: actor.principal, now };
    const id = await createAccount(tx, account);
    const token = await issueOneTime(tx, { kind: 'reset_password', account: id, data: { proves: email.key }, now, ttlMs });
    const text = mailOf(name.shown, linkTo(deps.config, 'reset-password', token), now + ttlMs);
    await deps.mail.post(tx, { to: email.shown, account: id, ttlMs, ...text });
    return id;
  });
  return made;
}

const mailOf = (name: string, link: string, until: number) => ({
  subject: 'You have an account',
  text: `An account was made for you, ${name}. Set its password, open until ${new Date(until).toISOString()}:

${link}

If you do not know what this is about, nothing has to be done.
`,
});
