import { Migration } from '@mikro-orm/migrations';

/** Sessions of people, their refresh tokens and socket tickets, and API keys that belong to somebody. */
export class Migration20261129000033_sessions extends Migration {
  override name = 'Migration20261129000033_sessions';

  override up(): void {
    for (const statement of [tables, keys, notices, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * session.workspace: the one it acts in; the system workspace for somebody who has no membership at all. mfa: whether a second
 * factor was shown. proved: when the person last proved who they are. active: of the last request, by the minute. idle: how long
 * it may be without one. expires: when it ends whatever is done.
 * refresh_token.hash, successor: SHA-256 of the token and of the one it was changed for. Used ones are kept, so that a second
 * use is noticed.
 */
const tables = `
create table session (id uuid primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000' references workspace,
  account uuid not null references account, method text not null, mfa boolean not null, remember boolean not null, device text,
  ip text not null, user_agent text not null, created timestamptz(3) not null, proved timestamptz(3) not null, active timestamptz(3) not null,
  idle interval not null, expires timestamptz(3) not null, ended timestamptz(3), end_reason text, ended_by text);
create index session_account on session (account, created desc);
create index session_expires on session (expires);
create table refresh_token (hash bytea primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  session uuid not null references session on delete cascade, created timestamptz(3) not null, used timestamptz(3), successor bytea);
create index refresh_token_session on refresh_token (session);
create table socket_ticket (hash bytea primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  session uuid not null references session on delete cascade, expires timestamptz(3) not null);
create index socket_ticket_expires on socket_ticket (expires);
grant select, insert, update, delete on session, refresh_token, socket_ticket to tiu_engine, tiu_api;`;

/** account: whose key it is; such a key never has more rights than the person. */
const keys = `
alter table api_key add column account uuid references account, add column expires timestamptz(3);
create index api_key_account on api_key (account) where account is not null;`;

/** As of migration 30: api processes forget at once what they believe of a session. Activity is no such change. */
const notices = `
create trigger access_session after update of ended, workspace, proved or delete on session for each row execute function access_changed_v1('session');`;

const security = ['session', 'refresh_token', 'socket_ticket']
  .map(
    (table) => `
alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('');
