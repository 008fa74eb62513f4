import { randomUUIDv7 } from 'node:crypto';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../pool.ts';
import { withTransaction, type Rows } from '../transaction.ts';

/** A person at an issuer. `id` names it in our addresses. */
export type IdentityInfo = { id: string; provider: string; issuer: string; email: string | null; created: Date; lastUsed: Date };

type Named = { issuer: string; subject: string };

/** Whose identity this is, and notes that it was used. @returns undefined for one that is linked to nobody */
export async function findByIdentity(db: Rows, identity: Named & { now: number }): Promise<{ account: string } | undefined> {
  const rows = await db.rows<{ account: string }>({
    name: 'identity_use',
    text: 'update account_identity set last_used = $3 where issuer = $1 and subject = $2 returning account',
    values: [identity.issuer, identity.subject, new Date(identity.now)],
  });
  return rows[0];
}

/** Links it to an account. @returns false when it is linked already, to this account or another */
export async function linkIdentity(
  db: Rows,
  identity: Named & { account: string; provider: string; email: string | undefined; by: string; now: number },
): Promise<boolean> {
  const { issuer, subject, account, provider, email, by, now } = identity;
  const rows = await db.rows({
    name: 'identity_link',
    text: `with i as (insert into account_identity (issuer, subject, id, account, provider, email, created, last_used)
        values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing returning id, account),
      a as (${auditInto(9, {
        ...{
          from: 'i',
          workspace: `'${SYSTEM_WORKSPACE}'::uuid`,
          actor: '$8',
          action: `'identity.linked'`,
          object: `'user:' || i.account`,
        },
        data: `json_build_object('issuer', $1::text, 'provider', $5::text)`,
      })})
      select id from i`,
    values: [issuer, subject, randomUUIDv7(), account, provider, email ?? null, new Date(now), by, ...auditValues()],
  });
  return rows.length > 0;
}

/** Identities of an account, the oldest first. */
export const listIdentities = (db: Rows, account: string): Promise<IdentityInfo[]> =>
  db.rows<IdentityInfo>({
    name: 'identity_list',
    text: `select id, provider, issuer, email, created, last_used as "lastUsed" from account_identity where account = $1 order by created, id`,
    values: [account],
  });

/**
 * Takes a link away, unless nothing else would let the person in. The account is locked first, by a statement of its own: what is
 * read in the next one is as the other left it who took away the other link.
 */
export function unlinkIdentity(
  db: Pick<Database, 'pool'>,
  of: { account: string; id: string; by: string },
): Promise<'unlinked' | 'unknown' | 'last'> {
  return withTransaction(db, async (tx) => {
    await tx.rows({ name: 'identity_lock', text: 'select from account where id = $1 for no key update', values: [of.account] });
    const [row] = await tx.rows<{ found: boolean; removed: boolean }>({
      name: 'identity_unlink',
      text: `with i as (select i.id, i.account from account_identity i where i.id = $2 and i.account = $1),
        d as (delete from account_identity x using i where x.id = i.id and (exists (select from account a where a.id = $1 and a.password is not null)
            or exists (select from passkey p where p.account = $1) or exists (select from account_identity o where o.account = $1 and o.id <> i.id))
          returning x.account, x.issuer, x.provider),
        a as (${auditInto(4, {
          ...{
            from: 'd',
            workspace: `'${SYSTEM_WORKSPACE}'::uuid`,
            actor: '$3',
            action: `'identity.unlinked'`,
            object: `'user:' || d.account`,
          },
          data: `json_build_object('issuer', d.issuer, 'provider', d.provider)`,
        })})
        select exists (select from i) as found, exists (select from d) as removed`,
      values: [of.account, of.id, of.by, ...auditValues()],
    });
    if (row?.found !== true) return 'unknown';
    return row.removed ? 'unlinked' : 'last';
  });
}
