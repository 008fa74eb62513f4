import { Migration } from '@mikro-orm/migrations';

/** Devices that ask to be signed in (RFC 8628): a person decides elsewhere, the device polls. */
export class Migration20261129000040_login extends Migration {
  override name = 'Migration20261129000040_login';

  override up(): void {
    for (const statement of [tables, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * device_grant.device_hash, user_hash: SHA-256 of the code that the device keeps and of the one that a person types. device: what
 * it calls itself. pause: how long it has to wait between two polls; polled: when it last asked; hurried: whether that was too
 * soon. account, session, acts, mfa, proved: of the person who decided, the session they did it in, where it acted, whether it had
 * shown a second factor and when it last was proved whose it is: what the device is given is never more than that.
 */
const tables = `
create table device_grant (device_hash bytea primary key, user_hash bytea not null unique,
  workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  device text, ip text not null, user_agent text not null, created timestamptz(3) not null, expires timestamptz(3) not null,
  pause interval not null, polled timestamptz(3), hurried boolean not null default false,
  decision text check (decision in ('approved', 'denied')), decided timestamptz(3), account uuid references account, session uuid,
  acts uuid, mfa boolean, proved timestamptz(3), redeemed timestamptz(3));
create index device_grant_expires on device_grant (expires);
create index device_grant_account on device_grant (account) where account is not null;
grant select, insert, update, delete on device_grant to tiu_engine, tiu_api;`;

const security = `
alter table device_grant enable row level security;
create policy engine on device_grant to tiu_engine using (true) with check (true);
create policy own_workspace on device_grant to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;
