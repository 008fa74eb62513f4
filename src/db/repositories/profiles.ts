import type { JsonObject } from '../../domain/json.ts';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Rows } from '../transaction.ts';

/** What a person says of themselves. */
export type ProfileRow = {
  id: string;
  name: string;
  email: string | null;
  email_verified: Date | null;
  full_name: string | null;
  bio: string | null;
  avatar_url: string | null;
  preferences: JsonObject | null;
  settings: JsonObject | null;
  created: Date;
  last_login: Date | null;
  version: number;
};

/** Undefined = as it is. */
export type ProfileChange = {
  fullName?: string | null | undefined;
  bio?: string | null | undefined;
  avatarUrl?: string | null | undefined;
  preferences?: JsonObject | undefined;
};

const COLUMNS = 'id, name, email, email_verified, full_name, bio, avatar_url, preferences, settings, created, last_login, version';
const audit = (first: number, said: { action: string; data?: string; before?: string; after?: string }): string =>
  auditInto(first, { from: 'a', workspace: `'${SYSTEM_WORKSPACE}'::uuid`, actor: '$2', object: `'user:' || a.id`, ...said });

export async function readProfile(db: Rows, account: string): Promise<ProfileRow | undefined> {
  const rows = await db.rows<ProfileRow>({
    name: 'profile_read',
    text: `select ${COLUMNS} from account where id = $1 and status <> 'erased'`,
    values: [account],
  });
  return rows[0];
}

type Of = {
  account: string;
  by: string;
  /** The version that is to be changed; undefined = whichever it is. */
  version: number | undefined;
};

/**
 * Changes what is named. The audit says which fields, never what is in them: it cannot be changed, so nobody could be erased from it.
 * @returns undefined = it has another version by now
 */
export async function changeProfile(db: Rows, of: Of, change: ProfileChange): Promise<ProfileRow | undefined> {
  const names = Object.entries(change).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const { fullName, bio, avatarUrl, preferences } = change;
  const given = [fullName, bio, avatarUrl].flatMap((value) => [value !== undefined, value ?? null]);
  const rows = await db.rows<ProfileRow>({
    name: 'profile_change',
    text: `with a as (update account set version = version + 1, full_name = case when $4 then $5 else full_name end, bio = case when $6 then $7 else bio end,
          avatar_url = case when $8 then $9 else avatar_url end, preferences = coalesce($10::json, preferences)
        where id = $1 and status <> 'erased' and ($3::int is null or version = $3) returning *),
      e as (${audit(12, { action: `'profile.changed'`, data: `json_build_object('names', $11::text[])` })})
      select ${COLUMNS} from a`,
    values: [
      ...[of.account, of.by, of.version ?? null, ...given],
      ...[preferences === undefined ? null : JSON.stringify(preferences), names, ...auditValues()],
    ],
  });
  return rows[0];
}

/** Another set of settings in place of the one there was. @returns undefined = the account has another version by now */
export async function setSettings(db: Rows, of: Of, settings: JsonObject): Promise<ProfileRow | undefined> {
  const rows = await db.rows<ProfileRow>({
    name: 'settings_set',
    text: `with o as (select settings from account where id = $1 for no key update),
      a as (update account set version = version + 1, settings = $4
        from o where id = $1 and status <> 'erased' and ($3::int is null or version = $3) returning account.*, o.settings as before),
      e as (${audit(5, { action: `'settings.changed'`, before: `json_build_object('notifications', a.before->'notifications')`, after: `json_build_object('notifications', a.settings->'notifications')` })})
      select ${COLUMNS} from a`,
    values: [of.account, of.by, of.version ?? null, JSON.stringify(settings), ...auditValues()],
  });
  return rows[0];
}
