import { Migration } from '@mikro-orm/migrations';

/** Who people are at the issuers that they sign in with. */
export class Migration20261129000035_sso extends Migration {
  override name = 'Migration20261129000035_sso';

  override up(): void {
    for (const statement of [tables, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** issuer, subject: what names a person for ever; the mail address is only shown. provider: of the settings, when it was linked. */
const tables = `
create table account_identity (issuer text collate "C" not null, subject text collate "C" not null, id uuid not null unique,
  workspace uuid not null default '00000000-0000-0000-0000-000000000000', account uuid not null references account,
  provider text collate "C" not null, email text, created timestamptz(3) not null, last_used timestamptz(3) not null, primary key (issuer, subject));
create index account_identity_account on account_identity (account);
grant select, insert, update, delete on account_identity to tiu_engine, tiu_api;`;

const security = `
alter table account_identity enable row level security;
create policy engine on account_identity to tiu_engine using (true) with check (true);
create policy own_workspace on account_identity to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;
