import { Migration } from '@mikro-orm/migrations';

/** Secrets of workspaces. `sealed` is encrypted before it comes here, and opens only for the workspace and name of its row. */
export class Migration20261129000020_secrets extends Migration {
  override name = 'Migration20261129000020_secrets';

  override up(): void {
    for (const statement of [table, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** version: grows with every value; a value that is only encrypted anew keeps it. */
const table = `
create table secret (workspace uuid not null, name text not null, version int not null, key_id text not null, sealed bytea not null,
  created timestamptz(3) not null, created_by text not null, updated timestamptz(3) not null, updated_by text not null,
  primary key (workspace, name));`;

const security = `
alter table secret enable row level security;
create policy engine on secret to tiu_engine using (true) with check (true);
create policy own_workspace on secret to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;
