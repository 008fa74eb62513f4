import { randomUUIDv7 } from 'node:crypto';
import type { Normalised } from '../../domain/account/names.ts';
import { Problem } from '../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { auditInto, auditValues } from '../audit.ts';
import { isRefusal } from '../connection.ts';
import { revokeOneTime, type OneTimeKind } from '../oneTime.ts';
import type { Rows } from '../transaction.ts';

type AccountStatus = 'active' | 'disabled' | 'erased';

/** What signing in goes by. `password`: a PHC string. */
export type AccountInfo = {
  id: string;
  name: string;
  nameKey: string;
  email: string | null;
  emailKey: string | null;
  emailVerified: Date | null;
  fullName: string | null;
  password: string | null;
  passwordShort: boolean;
  status: AccountStatus;
  /** Wants to hear when somebody names the mail address as theirs. */
  toldOfAddress: boolean;
};

/** A hash and whether it is of a password that may only stand beside a second factor. */
export type HashedPassword = { hash: string; short: boolean };

export type NewAccount = {
  name: Normalised;
  /** `verified`: somebody has shown that it is theirs. */
  email?: (Normalised & { verified: boolean }) | undefined;
  fullName?: string | null;
  password?: HashedPassword | undefined;
  /** Principal. */
  by: string;
  /** ms since the epoch */
  now: number;
};

/** An audit row about each account in `a`; places are numbers of parameters. */
const audited = (places: { first: number; by: number; action: string }): string =>
  `e as (${auditInto(places.first, { from: 'a', workspace: `'${SYSTEM_WORKSPACE}'::uuid`, actor: `$${places.by}`, action: places.action, object: `'user:' || a.id` })})`;

const COLUMNS = `id, name, name_key as "nameKey", email, email_key as "emailKey", email_verified as "emailVerified", full_name as "fullName", password,
  password_short as "passwordShort", status, coalesce((settings->'notifications'->>'addressNamed')::boolean, true) as "toldOfAddress"`;

/** Makes an account. Belongs into the transaction that gives it its memberships. @returns its id @throws Problem name_taken | email_taken */
export async function createAccount(db: Rows, account: NewAccount): Promise<string> {
  const { name, email, password, by } = account;
  const id = randomUUIDv7();
  const at = new Date(account.now);
  const made = await db.rows({
    name: 'account_create',
    text: `with a as (insert into account (id, name, name_key, email, email_key, email_verified, full_name, password, password_short, password_at, created, created_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing returning id),
      ${audited({ first: 13, by: 12, action: `'account.created'` })}
      select id from a`,
    values: [
      ...[id, name.shown, name.key, email?.shown ?? null, email?.key ?? null, email?.verified ? at : null, account.fullName ?? null],
      ...[password?.hash ?? null, password?.short ?? false, password ? at : null, at, by, ...auditValues()],
    ],
  });
  if (made.length > 0) return id;
  throw new Problem((await findAccountByName(db, name.key)) ? 'name_taken' : 'email_taken');
}

const find = async (db: Rows, column: 'id' | 'name_key' | 'email_key', value: string): Promise<AccountInfo | undefined> =>
  (
    await db.rows<AccountInfo>({
      name: `account_by_${column}`,
      text: `select ${COLUMNS} from account where ${column} = $1 and status <> 'erased'`,
      values: [value],
    })
  )[0];

export const findAccount = (db: Rows, id: string): Promise<AccountInfo | undefined> => find(db, 'id', id);
/** @param key of `normaliseName` */
export const findAccountByName = (db: Rows, key: string): Promise<AccountInfo | undefined> => find(db, 'name_key', key);
/** @param key of `normaliseEmail` */
export const findAccountByEmail = (db: Rows, key: string): Promise<AccountInfo | undefined> => find(db, 'email_key', key);

/** What dies with any change of password or mail address. */
const DIES_WITH_CHANGE: readonly OneTimeKind[] = ['reset_password', 'change_email', 'verify_email', 'mfa_pending', 'link_identity'];

type Change = { account: string; by: string; now: number };

/** Sets the password, and takes back every link that was sent out before. Belongs into the transaction of what allowed it. */
export async function setPassword(
  db: Rows,
  change: Change & { password: HashedPassword; action: 'password.changed' | 'password.reset' },
): Promise<void> {
  await db.rows({
    name: 'account_set_password',
    text: `with a as (update account set password = $2, password_short = $3, password_at = $4, version = version + 1 where id = $1 returning id),
      ${audited({ first: 7, by: 5, action: '$6' })}
      select 1 from a`,
    values: [
      ...[change.account, change.password.hash, change.password.short, new Date(change.now)],
      ...[change.by, change.action, ...auditValues()],
    ],
  });
  await revokeOneTime(db, { account: change.account, kinds: DIES_WITH_CHANGE, now: change.now });
}

/** Notes that the mail address is theirs, if nobody has shown that before. */
export async function proveEmail(db: Rows, account: string, now: number): Promise<void> {
  await db.rows({
    name: 'account_prove_email',
    text: 'update account set email_verified = $2, version = version + 1 where id = $1 and email_verified is null',
    values: [account, new Date(now)],
  });
}

/** Keeps the same password under today's cost, unless it was changed meanwhile. Nobody has to be told. */
export async function replaceHash(db: Rows, input: { account: string; before: string; hash: string }): Promise<void> {
  await db.rows({
    name: 'account_rehash',
    text: 'update account set password = $3 where id = $1 and password = $2',
    values: [input.account, input.before, input.hash],
  });
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const UNIQUE_VIOLATION = '23505';

/** Sets a verified mail address. @returns false when another account has it: the transaction, if it got it meanwhile, must end then */
export async function setEmail(db: Rows, change: Change & { email: Normalised }): Promise<boolean> {
  const set = db.rows({
    name: 'account_set_email',
    text: `with a as (update account set email = $2, email_key = $3, email_verified = $4, version = version + 1
        where id = $1 and not exists (select from account o where o.email_key = $3 and o.id <> $1) returning id),
      ${audited({ first: 6, by: 5, action: `'email.changed'` })}
      select id from a`,
    values: [change.account, change.email.shown, change.email.key, new Date(change.now), change.by, ...auditValues()],
  });
  const rows = await set.catch((error: unknown) => {
    if (isRefusal(error) && error.code === UNIQUE_VIOLATION) return [];
    throw error;
  });
  if (rows.length === 0) return false;
  await revokeOneTime(db, { account: change.account, kinds: DIES_WITH_CHANGE, now: change.now });
  return true;
}

/** An account as signing in finds it: with what else it has, in one statement whoever asks. */
export type SignInAccount = AccountInfo & { knownDevice: boolean; totp: boolean; passkey: boolean };

/** @param query.key of a name or of a mail address, which never look alike @param query.device hash of a device's token */
export async function findForSignIn(
  db: Rows,
  query: { key: string; device: Buffer | null; now: number },
): Promise<SignInAccount | undefined> {
  const rows = await db.rows<SignInAccount>({
    name: 'account_for_sign_in',
    text: `select ${COLUMNS},
        exists (select from known_device d where d.hash = $2 and d.account = a.id and d.expires > $3) as "knownDevice",
        exists (select from totp t where t.account = a.id and t.confirmed is not null) as totp,
        exists (select from passkey k where k.account = a.id) as passkey
      from account a where (name_key = $1 or email_key = $1) and status <> 'erased'`,
    values: [query.key, query.device, new Date(query.now)],
  });
  return rows[0];
}

/** Remembers a device for as long from now on. A device of another account is left alone. */
export async function rememberDevice(db: Rows, device: { hash: Buffer; account: string; now: number; ttlMs: number }): Promise<void> {
  await db.rows({
    name: 'device_remember',
    text: `insert into known_device as d (hash, account, created, last_used, expires) values ($1, $2, $3, $3, $4)
      on conflict (hash) do update set last_used = excluded.last_used, expires = excluded.expires where d.account = excluded.account`,
    values: [device.hash, device.account, new Date(device.now), new Date(device.now + device.ttlMs)],
  });
}

/** Forgets every device of an account. */
export async function forgetDevices(db: Rows, account: string): Promise<void> {
  await db.rows({ name: 'device_forget', text: 'delete from known_device where account = $1', values: [account] });
}
