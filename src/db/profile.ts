import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/** A person, and where they are a member now. */
export type Profile = {
  id: string;
  name: string;
  email: string | null;
  email_verified: Date | null;
  full_name: string | null;
  created: Date;
  last_login: Date | null;
  memberships: { workspace: { id: string; name: string }; role: string; expires: string | null }[];
};

/** @param of.now ms since the epoch */
export async function findProfile(db: Rows, of: { account: string; now: number }): Promise<Profile | undefined> {
  const rows = await db.rows<Profile>({
    name: 'profile',
    text: `select a.id, a.name, a.email, a.email_verified, a.full_name, a.created, a.last_login, coalesce((
        select json_agg(json_build_object('workspace', json_build_object('id', w.id, 'name', w.name), 'role', m.role, 'expires', m.expires) order by w.name)
        from membership m join workspace w on w.id = m.workspace
        where m.account = a.id and (m.expires is null or m.expires > to_timestamp($2::float8 / 1000))), '[]') as memberships
      from account a where a.id = $1`,
    values: [of.account, of.now],
  });
  return rows[0];
}
