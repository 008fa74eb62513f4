import { Migration } from '@mikro-orm/migrations';

/** How people prove who they are: one-time links and codes, tries, known devices, second factors, passkeys. */
export class Migration20261129000034_accounts extends Migration {
  override name = 'Migration20261129000034_accounts';

  override up(): void {
    for (const statement of [tables, tries, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * account.password_short: the password is one that needs a second factor beside it.
 * one_time.hash, known_device.hash, recovery_code.hash: SHA-256 of what opens; the value itself stands nowhere.
 * totp.last_step: the last step whose code was taken, so that no code is taken twice. totp.sealed: by the cipher of secrets.
 */
const tables = `
alter table account add column password_short boolean not null default false;
create table one_time (hash bytea primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  kind text collate "C" not null, account uuid references account, data json, created timestamptz(3) not null, expires timestamptz(3) not null,
  used timestamptz(3));
create index one_time_account on one_time (account, kind) where used is null;
create index one_time_expires on one_time (expires);
create table known_device (hash bytea primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  account uuid not null references account, created timestamptz(3) not null, last_used timestamptz(3) not null, expires timestamptz(3) not null);
create index known_device_account on known_device (account);
create table auth_try (subject bytea primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  failures int not null, since timestamptz(3) not null, until timestamptz(3)) with (fillfactor = 70);
create table totp (account uuid primary key references account, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  key_id text collate "C" not null, sealed bytea not null, created timestamptz(3) not null, confirmed timestamptz(3), last_step bigint not null default 0);
create table recovery_code (hash bytea primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  account uuid not null references account, created timestamptz(3) not null, used timestamptz(3));
create index recovery_code_account on recovery_code (account);
create table passkey (id text collate "C" primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  account uuid not null references account, public_key bytea not null, counter bigint not null, transports text[] not null, name text not null,
  synced boolean not null, created timestamptz(3) not null, last_used timestamptz(3));
create index passkey_account on passkey (account);
grant select, insert, update, delete on one_time, known_device, auth_try, totp, recovery_code, passkey to tiu_engine, tiu_api;`;

/**
 * One try, counted before anything is computed: failures of a subject (a name, an address, a device) in a row. From `free` of them
 * on each further try waits twice as long as the one before; from `max` on there is none. Whoever succeeds deletes the row.
 */
const tries = `
create function take_try_v1(p_subject bytea, p_now timestamptz, p_limits json) returns table (refused text, again_ms float8) language plpgsql as $$
declare
  d float8 := (p_limits->>'delayMs')::float8 / 1000;
  dmax float8 := (p_limits->>'maxDelayMs')::float8 / 1000;
  free int := (p_limits->>'free')::int;
begin
  insert into auth_try as t (subject, failures, since, until)
    values (p_subject, 1, p_now, case when free <= 1 then p_now + make_interval(secs => least(dmax, d)) end)
    on conflict (subject) do update set failures = t.failures + 1, since = p_now,
      until = case when t.failures + 1 >= free then p_now + make_interval(secs => least(dmax, d * power(2, least(40, t.failures + 1 - free)))) end
    where t.failures < (p_limits->>'max')::int and (t.until is null or t.until <= p_now);
  if found then return; end if;
  return query select case when t.failures >= (p_limits->>'max')::int then 'disabled' else 'delay' end,
    greatest(0, coalesce(extract(epoch from t.until - p_now)::float8 * 1000, 0)) from auth_try t where t.subject = p_subject;
end $$;
grant execute on function take_try_v1 to tiu_engine, tiu_api;`;

const security = ['one_time', 'known_device', 'auth_try', 'totp', 'recovery_code', 'passkey']
  .map(
    (table) => `
alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('');
