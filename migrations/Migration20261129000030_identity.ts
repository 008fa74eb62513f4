import { Migration } from '@mikro-orm/migrations';

/**
 * People, where they belong, and what they may do there. A person is of the installation, so accounts stand in the system
 * workspace; a membership says what an account may do in one workspace.
 */
export class Migration20261129000030_identity extends Migration {
  override name = 'Migration20261129000030_identity';

  override up(): void {
    for (const statement of [tables, notices, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * account.name_key, email_key: normalised (NFKC, lower case), what uniqueness goes by. password: a PHC string of Argon2id.
 * membership.role: one of the product's or of the table role. expires: when the grant ends by itself.
 */
const tables = `
create table account (id uuid primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000', name text not null,
  name_key text collate "C" not null unique, email text, email_key text collate "C" unique, email_verified timestamptz(3), full_name text,
  password text, password_at timestamptz(3), status text not null default 'active' check (status in ('active', 'disabled', 'erased')),
  created timestamptz(3) not null, created_by text not null, last_login timestamptz(3), version int not null default 1);
create table membership (workspace uuid not null references workspace, account uuid not null references account, role text collate "C" not null,
  granted_by text not null, granted timestamptz(3) not null, expires timestamptz(3), version int not null default 1, primary key (workspace, account));
create index membership_account on membership (account);
create table role (workspace uuid not null references workspace, name text collate "C" not null, title text, actions text[] not null,
  created timestamptz(3) not null, created_by text not null, version int not null default 1, primary key (workspace, name));
create table project (workspace uuid not null references workspace, id uuid not null unique, name text collate "C" not null, title text,
  created timestamptz(3) not null, created_by text not null, archived timestamptz(3), version int not null default 1,
  primary key (workspace, id), unique (workspace, name));
create table project_member (workspace uuid not null, project uuid not null references project (id), account uuid not null references account,
  role text collate "C" not null, granted_by text not null, granted timestamptz(3) not null, expires timestamptz(3),
  version int not null default 1, primary key (workspace, project, account));
create index project_member_account on project_member (account, workspace);
create index run_of_project on run (workspace, project, id desc) where project is not null;
grant select, insert, update, delete on account, membership, role, project, project_member to tiu_engine, tiu_api;`;

/**
 * What anybody may do has changed: api processes forget what they believe of it. The payload says of whom:
 * account:<id>, workspace:<id> or key:<id>. Such changes are rare, so that NOTIFY may stand in their transaction.
 */
const notices = `
create function access_changed_v1() returns trigger language plpgsql as $$
declare r record;
begin
  if tg_op = 'DELETE' then r := old; else r := new; end if;
  if tg_argv[0] = 'workspace' then perform pg_notify('access', 'workspace:' || r.workspace);
  elsif tg_argv[0] = 'member' then perform pg_notify('access', 'account:' || r.account);
  else perform pg_notify('access', tg_argv[0] || ':' || r.id); end if;
  return null;
end $$;
create trigger access_account after update of status, password, email_key on account for each row execute function access_changed_v1('account');
create trigger access_membership after insert or update or delete on membership for each row execute function access_changed_v1('member');
create trigger access_project_member after insert or update or delete on project_member for each row execute function access_changed_v1('member');
create trigger access_role after insert or update or delete on role for each row execute function access_changed_v1('workspace');
create trigger access_key after update of revoked, scopes or delete on api_key for each row execute function access_changed_v1('key');`;

const security = ['account', 'membership', 'role', 'project', 'project_member']
  .map(
    (table) => `
alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('');
