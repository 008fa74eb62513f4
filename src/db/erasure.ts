import { createHash } from 'node:crypto';
import { deviceSubject, factorSubjects, loginSubject, selfSubject } from '../domain/account/trySubjects.ts';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import { askFor, forgetExports, type PersonRequest } from './personRequests.ts';
import type { Database } from './pool.ts';
import { countDone, type Sweeper } from './retention.ts';
import { endSessions } from './sessions.ts';
import { clearTries } from './tries.ts';
import { withTransaction, type Rows } from './transaction.ts';

const LASTS = (m: string): string => `(${m}.expires is null or ${m}.expires > clock_timestamp())`;
/** Of a workspace `w` and account $1: somebody else who keeps it. */
const OTHER_OWNER = `exists (select from membership x join account o on o.id = x.account and o.status = 'active'
  where x.workspace = w.id and x.account <> $1 and x.role = 'owner' and x.expires is null)`;
const OTHERS = `exists (select from membership x where x.workspace = w.id and x.account <> $1 and ${LASTS('x')})`;

/** `lastOwner`: workspaces that would be left with members and without an owner. `refused`: who asks may not any more. */
export type ErasureAccepted = { request: PersonRequest } | { lastOwner: string[] } | 'refused' | 'unknown';

/**
 * Accepts that a person's data go, in one commit: from here on nobody signs in as them, their sessions have ended and their keys are
 * refused. What is kept of them goes by a run. Workspaces are locked before their owners are counted, as `keep_an_owner_v1` does.
 * @param asked.operator the account of who asks for somebody else; operators take turns @param also what comes with it
 */
export function acceptErasure(
  db: Pick<Database, 'pool'>,
  asked: { account: string; by: string; operator?: string },
  also: (tx: Rows) => Promise<void> = () => Promise.resolve(),
): Promise<ErasureAccepted> {
  const { account, by, operator } = asked;
  return withTransaction(db, async (tx) => {
    await tx.rows({
      name: 'erase_turns',
      text: `select from workspace where id = '${SYSTEM_WORKSPACE}' or id in (select workspace from membership where account = $1 and role = 'owner' and expires is null)
        order by id for no key update`,
      values: [account],
    });
    if (operator !== undefined && !(await isActive(tx, operator))) return 'refused';
    const alone = await tx.rows<{ id: string }>({
      name: 'erase_last_owner',
      text: `select w.id from membership m join workspace w on w.id = m.workspace where m.account = $1 and m.role = 'owner' and m.expires is null
        and w.closing is null and not ${OTHER_OWNER} and (w.id = '${SYSTEM_WORKSPACE}' or ${OTHERS}) order by 1`,
      values: [account],
    });
    if (alone.length > 0) return { lastOwner: alone.map(({ id }) => id) };
    const found = await tx.rows({
      name: 'erase_status',
      text: `update account set status = 'erased', version = version + 1 where id = $1 and status <> 'erased' returning 1`,
      values: [account],
    });
    if (found.length === 0) return 'unknown';
    await endSessions(tx, { account, reason: 'erased', by });
    await tx.rows({
      name: 'erase_keys',
      text: 'update api_key set revoked = clock_timestamp(), version = version + 1 where account = $1 and revoked is null',
      values: [account],
    });
    await also(tx);
    return { request: await askFor(tx, { kind: 'erase', account, by }) };
  });
}

async function isActive(tx: Rows, account: string): Promise<boolean> {
  const text = `select 1 from account where id = $1 and status = 'active'`;
  return (await tx.rows({ name: 'erase_asker', text, values: [account] })).length > 0;
}

type Person = { id: string; name_key: string; email_key: string | null };
type Counts = Record<string, number>;

/** Rows that a statement has changed, which it has to return. */
const changed = async (tx: Rows, text: string, values: readonly unknown[]): Promise<number> =>
  (await tx.rows({ name: `erase_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`, text: `${text} returning 1`, values }))
    .length;

/**
 * Sessions, keys and places. A workspace that nobody else is in closes; one that has lost its other owners meanwhile keeps the
 * membership, which lets nobody in.
 */
async function eraseAccess(tx: Rows, { id }: Person): Promise<Counts> {
  const own = (table: string) => changed(tx, `delete from ${table} where account = $1`, [id]);
  const refresh_token = await changed(tx, 'delete from refresh_token where session in (select id from session where account = $1)', [id]);
  const session = await own('session');
  const api_key = await changed(tx, `update api_key set name = 'erased', version = version + 1 where account = $1 and name <> 'erased'`, [
    id,
  ]);
  const workspace = await changed(
    tx,
    'update workspace set transfer_to = null, transfer_by = null, transfer_until = null, version = version + 1 where transfer_to = $1 or transfer_by = $1',
    [id],
  );
  await tx.rows({
    name: 'erase_lone_workspaces',
    text: `update workspace w set closing = clock_timestamp(), version = w.version + 1 from membership m where m.account = $1 and m.workspace = w.id and m.role = 'owner'
      and w.closing is null and w.id <> '${SYSTEM_WORKSPACE}' and not ${OTHERS}`,
    values: [id],
  });
  const project_member = await own('project_member');
  const membership = await changed(
    tx,
    `delete from membership m using workspace w where m.account = $1 and w.id = m.workspace
      and (m.role <> 'owner' or m.expires is not null or w.closing is not null or ${OTHER_OWNER})`,
    [id],
  );
  return { refresh_token, session, api_key, workspace, project_member, membership };
}

/** How they proved who they are, and what was counted of it. */
async function eraseProofs(tx: Rows, { id, name_key, email_key }: Person): Promise<Counts> {
  const own = (table: string) => changed(tx, `delete from ${table} where account = $1`, [id]);
  const devices = await tx.rows<{ hash: Buffer }>({
    name: 'erase_devices',
    text: 'delete from known_device where account = $1 returning hash',
    values: [id],
  });
  const keys = [name_key, ...(email_key === null ? [] : [email_key])];
  const auth_try = await clearTries(tx, [
    ...[...keys.map(loginSubject), selfSubject(id), ...factorSubjects(id)],
    ...devices.map(({ hash }) => deviceSubject(hash.toString('base64url'))),
  ]);
  const named = email_key === null ? [] : [createHash('sha256').update(email_key).digest('base64url')];
  const rate_bucket = await changed(tx, 'delete from rate_bucket where key = any($1)', [
    [`user:${id}`, `account:${id}`, ...named.map((hash) => `account:${hash}`)],
  ]);
  const one_time = await changed(
    tx,
    `delete from one_time where account = $1 or (kind = 'register' and data->'email'->>'key' = $2) or (kind = 'change_email' and data->>'key' = $2)`,
    [id, email_key],
  );
  return {
    ...{ known_device: devices.length, auth_try, rate_bucket, one_time, device_grant: await own('device_grant'), totp: await own('totp') },
    mail: await own('mail'),
    ...{ recovery_code: await own('recovery_code'), passkey: await own('passkey'), account_identity: await own('account_identity') },
  };
}

/** What they have left elsewhere: addresses in invitations, answers that are kept to be replayed, exports. */
async function eraseTraces(tx: Rows, { id, email_key }: Person): Promise<Counts> {
  const invitation = await changed(
    tx,
    `update invitation set email = null, settled = coalesce(settled, clock_timestamp()), outcome = coalesce(outcome, 'revoked')
      where email is not null and (account = $1 or lower(email) = $2)`,
    [id, email_key],
  );
  const idempotency = await changed(
    tx,
    `delete from idempotency where workspace in (select id from workspace) and principal = 'user:' || $1::uuid`,
    [id],
  );
  return { invitation, idempotency, person_request: await forgetExports(tx, { account: id, limit: 1_000_000 }) };
}

/** Last of all, as the others go by them. */
async function eraseNames(tx: Rows, { id }: Person): Promise<Counts> {
  const account = await changed(
    tx,
    `update account set name = 'erased', name_key = 'erased:' || id, email = null, email_key = null, email_verified = null, full_name = null, password = null,
        password_at = null, password_short = false, bio = null, avatar_url = null, preferences = null, settings = null, last_login = null, version = version + 1
      where id = $1 and name_key <> 'erased:' || id`,
    [id],
  );
  await tx.rows({
    name: 'erase_done',
    text: `update person_request set done = clock_timestamp() where account = $1 and kind = 'erase' and done is null`,
    values: [id],
  });
  return { account };
}

const STEPS = { access: eraseAccess, proofs: eraseProofs, traces: eraseTraces, names: eraseNames };
export type EraseStep = keyof typeof STEPS;
export const isEraseStep = (name: unknown): name is EraseStep => typeof name === 'string' && Object.hasOwn(STEPS, name);

/**
 * One step, and what it has removed, in one commit: repeated, it removes and counts nothing more.
 * @returns false when no such account is to be erased
 */
export function erasePerson(db: Pick<Database, 'pool'>, of: { account: string; step: EraseStep }, sweeper: Sweeper): Promise<boolean> {
  return withTransaction(db, async (tx) => {
    const [person] = await tx.rows<Person>({
      name: 'erase_person',
      text: `select id, name_key, email_key from account where id = $1 and status = 'erased' for no key update`,
      values: [of.account],
    });
    if (!person) return false;
    await countDone(tx, sweeper, await STEPS[of.step](tx, person));
    return true;
  });
}
