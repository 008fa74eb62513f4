import { createHash } from 'node:crypto';
import { auditInto, auditValues } from '../audit.ts';
import { unmarkProved } from '../sessions.ts';
import type { Rows } from '../transaction.ts';

/** A secret of an authenticator app; `confirmed` once a code of it was shown. */
export type TotpRow = { keyId: string; sealed: Buffer; confirmed: Date | null };
/** `synced`: it may be on several devices of the person. */
export type PasskeyRow = {
  id: string;
  account: string;
  publicKey: Buffer;
  counter: number;
  transports: string[];
  name: string;
  synced: boolean;
  created: Date;
  lastUsed: Date | null;
};
export type Factors = { totp: Date | null; recoveryCodes: number; passkeys: PasskeyRow[] };

const PASSKEY = `id, account, public_key as "publicKey", counter::float8 as counter, transports, name, synced, created, last_used as "lastUsed"`;
const codeHash = (code: string): Buffer => createHash('sha256').update(code).digest();

/** Keeps a secret that is still to be confirmed. @returns false when there is a confirmed one */
export async function setTotp(db: Rows, totp: { account: string; keyId: string; sealed: Buffer; now: number }): Promise<boolean> {
  const rows = await db.rows({
    name: 'totp_set',
    text: `insert into totp as t (account, key_id, sealed, created) values ($1, $2, $3, $4)
      on conflict (account) do update set key_id = excluded.key_id, sealed = excluded.sealed, created = excluded.created, last_step = 0
      where t.confirmed is null returning 1`,
    values: [totp.account, totp.keyId, totp.sealed, new Date(totp.now)],
  });
  return rows.length > 0;
}

export async function findTotp(db: Rows, account: string | null): Promise<TotpRow | undefined> {
  const rows = await db.rows<TotpRow>({
    name: 'totp_find',
    text: 'select key_id as "keyId", sealed, confirmed from totp where account = $1',
    values: [account],
  });
  return rows[0];
}

type SealedTotp = { account: string; keyId: string; sealed: Buffer };

/** Secrets under other keys than `keyId`, by account. @param page.after account of the last one of the page before */
export const listTotpUnderOtherKeys = (
  db: Rows,
  page: { keyId: string; after: string | undefined; limit: number },
): Promise<SealedTotp[]> =>
  db.rows<SealedTotp>({
    name: 'totp_other_keys',
    text: `select account, key_id as "keyId", sealed from totp where key_id <> $1 and ($2::uuid is null or account > $2) order by account limit $3`,
    values: [page.keyId, page.after ?? null, page.limit],
  });

/** The same secret under another key. @returns false if it has changed meanwhile */
export async function replaceTotp(db: Rows, before: SealedTotp, now: { keyId: string; sealed: Buffer; by: string }): Promise<boolean> {
  const rows = await db.rows({
    name: 'totp_replace',
    text: `with t as (update totp set key_id = $3, sealed = $4 where account = $1 and sealed = $2 returning *),
      a as (${auditInto(6, {
        ...{ from: 't', workspace: 't.workspace', actor: '$5', action: `'second_factor.reencrypt'`, object: `'user:' || t.account` },
        data: `json_build_object('keyId', t.key_id)`,
      })})
      select 1 from t`,
    values: [before.account, before.sealed, now.keyId, now.sealed, now.by, ...auditValues()],
  });
  return rows.length > 0;
}

/** Takes the code of a step: of all who show it one is let through, and no earlier one after it. @returns whether it was taken */
export async function takeTotpStep(db: Rows, input: { account: string; step: number; confirm?: boolean; now: number }): Promise<boolean> {
  const rows = await db.rows({
    name: 'totp_take',
    text: `update totp set last_step = $2, confirmed = coalesce(confirmed, $4)
      where account = $1 and last_step < $2 and (confirmed is null) = $3 returning 1`,
    values: [input.account, input.step, input.confirm ?? false, new Date(input.now)],
  });
  return rows.length > 0;
}

/** Puts these in the place of all recovery codes there were. */
export async function setRecoveryCodes(db: Rows, input: { account: string; codes: readonly string[]; now: number }): Promise<void> {
  await db.rows({ name: 'recovery_delete', text: 'delete from recovery_code where account = $1', values: [input.account] });
  await db.rows({
    name: 'recovery_set',
    text: 'insert into recovery_code (hash, account, created) select h, $1, $3 from unnest($2::bytea[]) h',
    values: [input.account, input.codes.map(codeHash), new Date(input.now)],
  });
}

/** @returns whether the code was one of the account that was not used; it is now */
export async function takeRecoveryCode(db: Rows, input: { account: string; code: string; now: number }): Promise<boolean> {
  const rows = await db.rows({
    name: 'recovery_take',
    text: 'update recovery_code set used = $3 where hash = $1 and account = $2 and used is null returning 1',
    values: [codeHash(input.code), input.account, new Date(input.now)],
  });
  return rows.length > 0;
}

/** @returns false when the account has `max`, or the passkey is known */
export async function addPasskey(
  db: Rows,
  passkey: Omit<PasskeyRow, 'created' | 'lastUsed'> & { now: number; max: number },
): Promise<boolean> {
  const { id, account, publicKey, counter, transports, name, synced, now, max } = passkey;
  const rows = await db.rows({
    name: 'passkey_add',
    text: `insert into passkey (id, account, public_key, counter, transports, name, synced, created)
      select $1, $2, $3, $4, $5, $6, $7, $8 where (select count(*) from passkey where account = $2) < $9 on conflict do nothing returning 1`,
    values: [id, account, publicKey, counter, transports, name, synced, new Date(now), max],
  });
  return rows.length > 0;
}

export async function findPasskey(db: Rows, id: string): Promise<PasskeyRow | undefined> {
  return (await db.rows<PasskeyRow>({ name: 'passkey_find', text: `select ${PASSKEY} from passkey where id = $1`, values: [id] }))[0];
}

/** Notes a use. @returns false when its counter did not grow: it is a copy, unless it counts nothing at all */
export async function usePasskey(db: Rows, use: { id: string; counter: number; now: number }): Promise<boolean> {
  const rows = await db.rows({
    name: 'passkey_use',
    text: 'update passkey set counter = $2, last_used = $3 where id = $1 and (counter < $2 or (counter = 0 and $2 = 0)) returning 1',
    values: [use.id, use.counter, new Date(use.now)],
  });
  return rows.length > 0;
}

/** What an account has besides its password. */
export async function listFactors(db: Rows, account: string): Promise<Factors> {
  const [row] = await db.rows<{ totp: Date | null; recoveryCodes: number }>({
    name: 'factors',
    text: `select (select confirmed from totp where account = $1) as totp,
      (select count(*)::int from recovery_code where account = $1 and used is null) as "recoveryCodes"`,
    values: [account],
  });
  const passkeys = await db.rows<PasskeyRow>({
    name: 'passkeys_of',
    text: `select ${PASSKEY} from passkey where account = $1 order by created, id`,
    values: [account],
  });
  return { totp: row?.totp ?? null, recoveryCodes: row?.recoveryCodes ?? 0, passkeys };
}

/**
 * Takes a factor away, and with the last one the recovery codes. Belongs into a transaction.
 * @param input.passkey its id; without it the authenticator app
 * @returns `last`: the password is too short to be left alone; nothing may be kept of what was done then
 */
export async function removeFactor(db: Rows, input: { account: string; passkey?: string }): Promise<'removed' | 'missing' | 'last'> {
  // locked, so that two who each take away one of two do not leave none
  const [account] = await db.rows<{ short: boolean }>({
    name: 'account_lock',
    text: 'select password_short as short from account where id = $1 for update',
    values: [input.account],
  });
  const gone = input.passkey
    ? await db.rows({
        name: 'passkey_delete',
        text: 'delete from passkey where account = $1 and id = $2 returning 1',
        values: [input.account, input.passkey],
      })
    : await db.rows({ name: 'totp_delete', text: 'delete from totp where account = $1 returning 1', values: [input.account] });
  if (gone.length === 0) return 'missing';
  const left = await listFactors(db, input.account);
  if (left.totp !== null || left.passkeys.length > 0) return 'removed';
  if (account?.short) return 'last';
  await db.rows({ name: 'recovery_delete', text: 'delete from recovery_code where account = $1', values: [input.account] });
  await unmarkProved(db, input.account);
  return 'removed';
}
