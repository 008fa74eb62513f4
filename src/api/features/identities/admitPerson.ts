import { normaliseEmail, normaliseName, type Normalised } from '../../../domain/account/names.ts';
import { Problem } from '../../../domain/problem.ts';
import { createAccount, findAccountByEmail, findAccountByName } from '../../../db/repositories/accounts.ts';
import { findByIdentity, linkIdentity } from '../../../db/repositories/identities.ts';
import { joinWorkspace, workspaceNamed } from '../../../db/repositories/joins.ts';
import { withTransaction, type Rows } from '../../../db/transaction.ts';
import type { ProvenIdentity } from '../../../providers/signIn/provider.ts';
import type { SignInProviderConfig } from '../../../runtime/signInProviders.ts';
import { requireRoom } from '../../auth/requireRoom.ts';
import type { Deps } from '../../deps.ts';

type Arrival = { settings: SignInProviderConfig; identity: ProvenIdentity };

/**
 * The account of whom a provider has proven: (issuer, subject) decides, never a mail address. Somebody new is given an account if
 * the provider's settings say so; one with the mail address of an account has to sign in there and link.
 * @throws Problem registration_closed | identity_not_linked | quota_exceeded
 */
export async function admitPerson(deps: Pick<Deps, 'db' | 'clock' | 'quotas'>, arrival: Arrival): Promise<string> {
  const { identity } = arrival;
  const now = deps.clock();
  const known = await findByIdentity(deps.db, { ...identity, now });
  return known?.account ?? register(deps, { ...arrival, now });
}

async function register(deps: Pick<Deps, 'db' | 'quotas'>, { settings, identity, now }: Arrival & { now: number }): Promise<string> {
  const email = identity.emailVerified && identity.email !== undefined ? normaliseEmail(identity.email) : undefined;
  if (email && (await findAccountByEmail(deps.db, email.key)))
    throw new Problem('identity_not_linked', { detail: 'Sign in as before and link it there' });
  if (!settings.createAccounts || !isWelcome(settings.emailDomains, email)) throw new Problem('registration_closed');
  const by = `provider:${settings.id}`;
  const place = settings.join && (await placeOf(deps, settings.join));
  return withTransaction(deps.db, async (tx) => {
    const name = await freeName(tx, identity);
    const account = await createAccount(tx, {
      name,
      fullName: identity.fullName ?? null,
      by,
      now,
      ...(email && { email: { ...email, verified: true } }),
    });
    // another answer of the same person came first
    if (!(await linkIdentity(tx, { ...identity, email: identity.email, account, provider: settings.id, by, now })))
      throw new Problem('state_conflict', { detail: 'Somebody signs in with this identity at this moment' });
    if (place) {
      await requireRoom(tx, { ...place, account });
      await joinWorkspace(tx, { ...place, account, by, now });
    }
    return account;
  });
}

/** Where whoever is new becomes a member; a workspace that is not there is joined by nobody. */
async function placeOf({ db, quotas }: Pick<Deps, 'db' | 'quotas'>, { workspace: name, role }: { workspace: string; role: string }) {
  const workspace = await workspaceNamed(db, name);
  return workspace === undefined ? undefined : { workspace, role, max: await quotas.maxOf(workspace, 'members') };
}

const isWelcome = (domains: readonly string[] | undefined, email: Normalised | undefined): boolean =>
  domains === undefined || (email !== undefined && domains.includes(email.key.slice(email.key.lastIndexOf('@') + 1)));

/** What the person is called there, if nobody is called so here; else with a number. */
async function freeName(tx: Rows, { userName, email, fullName }: ProvenIdentity): Promise<Normalised> {
  const wish = (userName ?? email?.split('@')[0] ?? fullName ?? 'user')
    .normalize('NFKC')
    .replaceAll(/[^A-Za-z0-9_]/g, '_')
    .slice(0, 40);
  const stem = wish.length < 3 ? `user_${wish}` : wish;
  for (let n = 1; n < 1_000; n += 1) {
    const name = normaliseName(n === 1 ? stem : `${stem}_${n}`);
    if (name && !(await findAccountByName(tx, name.key))) return name;
  }
  throw new Problem('name_taken');
}
