import type { z } from 'zod';
import { normaliseEmail, type Normalised } from '../../../domain/account/names.ts';
import { Problem } from '../../../domain/problem.ts';
import { createAccount } from '../../../db/repositories/accounts.ts';
import { findInvitation, settleInvitation, type InvitationRow } from '../../../db/repositories/invitations.ts';
import { peekOneTime, redeemOneTime } from '../../../db/oneTime.ts';
import { withTransaction, type Rows } from '../../../db/transaction.ts';
import { accountName, mailAddress } from '../../auth/accountFields.ts';
import { newPassword } from '../../auth/newPassword.ts';
import { requireRoom } from '../../auth/requireRoom.ts';
import type { Deps } from '../../deps.ts';
import type { AcceptInvitation } from './schemas.ts';

type Place = { workspace: string; id: string };
type Given = { deps: Deps; token: string };

/** Whatever is wrong with a token, this is the answer. */
const invalid = (): Problem => new Problem('link_invalid', { detail: 'The invitation cannot be accepted' });

/** The invitation of a token that was not used yet, and how many members its workspace may have. @throws Problem link_invalid */
async function peek({ deps, token }: Given): Promise<InvitationRow & { max: number }> {
  const found = await peekOneTime(deps.engine, { token, kind: 'invitation', now: deps.clock() });
  const invitation = found && (await findInvitation(deps.engine, found.data as Place));
  if (!invitation) throw invalid();
  return { ...invitation, max: await deps.quotas.maxOf(invitation.workspace, 'members') };
}

/** Uses a token up and lets in whom `who` names. @throws Problem link_invalid, and quota_exceeded and what `who` throws: the token is good then */
function redeem(
  { deps, token, max }: Given & { max: number },
  who: (tx: Rows) => Promise<string>,
): Promise<{ account: string; place: Place }> {
  return withTransaction(deps.engine, async (tx) => {
    const used = await redeemOneTime(tx, { token, kind: 'invitation', now: deps.clock() });
    if (!used) throw invalid();
    const place = used.data as Place;
    const account = await who(tx);
    await requireRoom(tx, { workspace: place.workspace, account, max });
    if (!(await settleInvitation(tx, { ...place, account }))) throw invalid();
    return { account, place };
  });
}

/**
 * Makes the account of somebody who was invited, with what the invitation says.
 * @throws Problem link_invalid, invalid_request (of the name, address or password), name_taken, email_taken, quota_exceeded, overloaded
 */
export async function acceptAsNew(
  deps: Deps,
  { token, ...body }: z.output<typeof AcceptInvitation>,
): Promise<{ account: string; place: Place }> {
  const invitation = await peek({ deps, token });
  const name = accountName(body.name);
  const email = emailOf(invitation, body.email);
  const near = [name.shown, email?.shown, body.fullName];
  const password = await newPassword(deps, { password: body.password, near, secondFactor: false });
  const fullName = body.fullName ?? null;
  return redeem({ deps, token, max: invitation.max }, (tx) =>
    createAccount(tx, { name, email, fullName, password, by: invitation.created_by, now: deps.clock() }),
  );
}

/** Of a mailed link the address is proven, by whoever has it; any other is still to be. */
function emailOf(invitation: InvitationRow, given: string | undefined): (Normalised & { verified: boolean }) | undefined {
  const text = given ?? invitation.email;
  if (text === null) return undefined;
  const email = mailAddress(text);
  const invited = invitation.email === null ? undefined : normaliseEmail(invitation.email);
  return { ...email, verified: invitation.mailed && email.key === invited?.key };
}

/** Lets somebody in who has an account. @throws Problem link_invalid, quota_exceeded */
export async function acceptAs(deps: Deps, of: { token: string; account: string }): Promise<Place> {
  const { max } = await peek({ deps, token: of.token });
  const { place } = await redeem({ deps, token: of.token, max }, () => Promise.resolve(of.account));
  deps.authenticate.forget(`account:${of.account}`);
  return place;
}
