import type { Actor } from '../../../domain/access/can.ts';
import { normaliseName } from '../../../domain/account/names.ts';
import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { acceptErasure } from '../../../db/erasure.ts';
import type { PersonRequest } from '../../../db/personRequests.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import type { Deps } from '../../deps.ts';
import { submit } from './submit.ts';

type Person = { id: string; name: string; email: string | null };

/**
 * Accepts that the data of a person go, who from now on is nobody here. Who asks has just proved who they are, and repeats the name.
 * @throws Problem reauthentication_required, invalid_request, last_owner, state_conflict, unauthenticated
 */
export async function erase(deps: Deps, actor: Actor, { person, name }: { person: Person; name: string }): Promise<PersonRequest> {
  requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
  if (normaliseName(name)?.key !== normaliseName(person.name)?.key) throw invalidField('/name', 'is not the name of the account');
  const { account: asking, principal: by } = actor;
  const asked = { account: person.id, by, ...(asking !== undefined && asking !== person.id && { operator: asking }) };
  const accepted = await acceptErasure(deps.engine, asked, (tx) => deps.mail.post(tx, { to: person.email, ...ERASED }));
  if (accepted === 'refused') throw new Problem('unauthenticated');
  if (accepted === 'unknown') throw new Problem('state_conflict', { detail: 'The account is erased' });
  if ('lastOwner' in accepted)
    throw new Problem('last_owner', {
      detail: `Give these workspaces another owner first, or close them: ${accepted.lastOwner.join(', ')}`,
      data: { workspaces: accepted.lastOwner },
    });
  deps.authenticate.forget(`account:${person.id}`);
  await submit(deps, accepted.request);
  return accepted.request;
}

const ERASED = {
  subject: 'Your account is erased',
  text: `Your account here has ended, and what was kept of you is being removed. This is the last mail to this address. If you have not asked for it, write to whoever runs the installation.
`,
};
