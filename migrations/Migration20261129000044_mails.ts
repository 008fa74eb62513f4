import { Migration } from '@mikro-orm/migrations';

/** Mails of accounts wait in the database: what was accepted is sent whoever dies before. */
export class Migration20261129000044_mails extends Migration {
  override name = 'Migration20261129000044_mails';

  override up(): void {
    this.addSql(mails);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** mail.sealed: recipient and text, by the cipher of secrets; without a recipient nobody is written to. mail.until: of no use after it. */
const mails = `
create table mail (id uuid primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000', account uuid,
  key_id text collate "C" not null, sealed bytea not null, due timestamptz(3) not null, tries int not null default 0, until timestamptz(3) not null);
create index mail_due on mail (due, id);
create index mail_account on mail (account) where account is not null;
grant select, insert, update, delete on mail to tiu_engine, tiu_api;
alter table mail enable row level security;
create policy engine on mail to tiu_engine using (true) with check (true);
create policy own_workspace on mail to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;
