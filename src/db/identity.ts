import type { Rows } from './transaction.ts';

/** What somebody and the place they act in are called; null where there is no such thing. */
type Names = { workspace: string | null; key: string | null; person: string | null; role: string | null };

/** @param of.key, of.account ids, of whoever acts by one @param of.now ms since the epoch */
export async function findNames(
  db: Rows,
  of: { workspace: string; key: string | null; account: string | null; now: number },
): Promise<Names> {
  const rows = await db.rows<Names>({
    name: 'names_of_actor',
    text: `select (select name from workspace where id = $1) as workspace, (select name from api_key where id = $2) as key,
      (select name from account where id = $3) as person,
      (select role from membership where workspace = $1 and account = $3 and (expires is null or expires > to_timestamp($4::float8 / 1000))) as role`,
    values: [of.workspace, of.key, of.account, of.now],
  });
  return rows[0] ?? { workspace: null, key: null, person: null, role: null };
}
