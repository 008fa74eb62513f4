import { Migration } from '@mikro-orm/migrations';

/** What people say of themselves, what they ask for of their data, and how a workspace is closed. */
export class Migration20261129000041_people extends Migration {
  override name = 'Migration20261129000041_people';

  override up(): void {
    for (const statement of [profiles, requests, closing, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** preferences: whatever clients keep there. settings: what the product goes by, of a closed schema. */
const profiles = `
alter table account add column bio text, add column avatar_url text, add column preferences json, add column settings json;`;

/**
 * What a person has asked for of their data, or an operator for them. It is accepted with its row; a run of the system workspace does
 * it. One of a kind is under way at a time. run: the last one that was submitted for it. sha256, size, expires: of an export, whose
 * object stands in a folder of its own, named by the request, so that no request of any workspace finds it.
 */
const requests = `
create table person_request (id uuid primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  kind text not null check (kind in ('export', 'erase')), account uuid not null references account, asked_by text not null,
  created timestamptz(3) not null, run uuid, submitted timestamptz(3), done timestamptz(3), sha256 bytea, size bigint, expires timestamptz(3));
create unique index person_request_open on person_request (account, kind) where done is null;
create index person_request_of on person_request (account, created desc);
grant select, insert, update, delete on person_request to tiu_engine, tiu_api;`;

/**
 * A workspace that is closing starts nothing new. closing_until: from when on what is in it is deleted; closing_run: the run that does
 * it, submitted then; closing_begun: it cannot be taken back any more.
 */
const closing = `
alter table workspace add column closing_until timestamptz(3), add column closing_run uuid, add column closing_submitted timestamptz(3),
  add column closing_begun timestamptz(3);
create index workspace_closing on workspace (id) where closing is not null;`;

const security = ['person_request']
  .map(
    (table) => `
alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('');
