import { Migration } from '@mikro-orm/migrations';

/**
 * Tables. Every one but `plan` has `workspace`, and keys that a client can choose begin with it.
 * Payload columns are json, not jsonb: U+0000 and lone surrogates pass and key order survives.
 */
export class Migration20261101000000_tables extends Migration {
  override name = 'Migration20261101000000_tables';

  override up(): void {
    this.addSql(identity);
    this.addSql(runs);
    this.addSql(execution);
    this.addSql(bookkeeping);
    this.addSql(compression);
    this.addSql(partitions);
    this.addSql(roles);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const identity = `
create table workspace (id uuid primary key, name text not null unique, created timestamptz(3) not null);
create table api_key (id uuid primary key, workspace uuid not null references workspace, name text not null, hash bytea not null unique,
  scopes text[] not null, created timestamptz(3) not null, revoked timestamptz(3), last_used timestamptz(3), version int not null default 1);
create table audit (id uuid primary key, workspace uuid not null, actor text not null, action text not null, subject text not null,
  data json, at timestamptz(3) not null);
create table idempotency (workspace uuid not null, principal text not null, key text not null, hash bytea not null, run uuid,
  status smallint, response json, expires timestamptz(3) not null, primary key (workspace, principal, key));
create index idempotency_expires on idempotency (expires);`;

const runs = `
create table plan (hash bytea primary key, body json not null, created timestamptz(3) not null);
create table definition (workspace uuid not null, name text not null, number int not null, version text, hash bytea not null, title text,
  source text not null, media_type text not null, plan bytea not null references plan, created timestamptz(3) not null, created_by text not null,
  primary key (workspace, name, number), unique (workspace, name, hash));
create table run (id uuid primary key, workspace uuid not null, project uuid, definition text not null, definition_number int, plan bytea not null,
  input json, priority smallint not null, labels json, deadline timestamptz(3), parent uuid, forked_from uuid,
  created timestamptz(3) not null, created_by text not null);
create index run_of_workspace on run (workspace, id desc);
create index run_of_definition on run (workspace, definition, id desc);
create table run_state (run uuid primary key, workspace uuid not null, status text not null, intent text, reason text,
  epoch int not null default 0, owner uuid, owner_until timestamptz(3), total int not null, open int not null, failed int not null default 0,
  last_seq bigint not null, command_seq bigint not null default 0, applied_seq bigint not null default 0, seg_open int not null default 0,
  restarts smallint not null default 0, cancel_sent boolean not null default false, deadline timestamptz(3),
  started timestamptz(3), finished timestamptz(3), failure json) with (fillfactor = 50);
create index run_state_queued on run_state (run) where started is null and finished is null;
create index run_state_open on run_state (run) where finished is null;
create table run_output (run uuid primary key, workspace uuid not null, output json, output_ref bytea, output_size int not null);
create table label (workspace uuid not null, name text not null, value text not null, run uuid not null, primary key (workspace, name, value, run));`;

const execution = `
create table task (run uuid not null, task int not null, item int not null, generation int not null, workspace uuid not null,
  status text not null, branch smallint, attempt int not null default 0, losses smallint not null default 0, token uuid, seq bigint not null,
  output json check (octet_length(output::text) <= 65536), output_ref bytea, output_size int, failure json,
  started timestamptz(3), finished timestamptz(3), next_at timestamptz(3), deadline timestamptz(3),
  primary key (run, task, item, generation)) partition by range (run);
create table run_event (run uuid not null, seq bigint not null, workspace uuid not null, type text not null, task int, item int, attempt int,
  data json, at timestamptz(3) not null, primary key (run, seq)) partition by range (run);
create table command (run uuid not null, seq bigint not null, workspace uuid not null, type text not null, payload json,
  actor text not null, at timestamptz(3) not null, primary key (run, seq));
create table wait (run uuid not null, task int not null, item int not null, generation int not null, kind text not null, workspace uuid not null,
  until timestamptz(3), decision text, failure json, parts int, closed boolean not null default false, dispatched boolean not null default false,
  primary key (run, task, item, generation, kind));
create index wait_open on wait (run) where not closed;
create table slice (run uuid not null, task int not null, generation int not null, k int not null, workspace uuid not null, lo int not null, hi int not null,
  done boolean not null default false, primary key (run, task, generation, k));
create table effect (run uuid not null, task int not null, item int not null, generation int not null, attempt int not null, workspace uuid not null,
  intent json not null, outcome json, at timestamptz(3) not null, done_at timestamptz(3),
  primary key (run, task, item, generation, attempt));`;

const bookkeeping = `
create table lease (workspace uuid not null, key text not null, slot int not null, holder uuid not null, run uuid, task int, item int, attempt int,
  expires timestamptz(3) not null, primary key (workspace, key, slot));
create table artifact (workspace uuid not null, sha256 bytea not null, size bigint not null, media_type text not null, name text,
  created timestamptz(3) not null, created_by text not null, deleting timestamptz(3), primary key (workspace, sha256));
create table artifact_ref (workspace uuid not null, sha256 bytea not null, holder text not null, created timestamptz(3) not null,
  primary key (workspace, sha256, holder));
create table worker (id uuid primary key, workspace uuid not null default '00000000-0000-0000-0000-000000000000', name text not null, version text not null,
  started timestamptz(3) not null, seen timestamptz(3) not null, temporal boolean not null, reconciled timestamptz(3), data json not null);`;

/** lz4 where the server was built with it (the embedded one is not), else the default of the server. */
const compression = `
do $$ declare c record; begin
  for c in select attrelid::regclass as t, attname from pg_attribute where attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p'))
    and atttypid = 'json'::regtype and attnum > 0 loop
    execute format('alter table %s alter column %I set compression lz4', c.t, c.attname);
  end loop;
exception when feature_not_supported then null;
end $$;`;

const partitions = `
create function uuid7_floor(t timestamptz) returns uuid language sql immutable as
$$ select rpad(lpad(to_hex((extract(epoch from t) * 1000)::bigint), 12, '0'), 32, '0')::uuid $$;
-- weekly partitions of the tables that grow with every run, from the week before \`at\` to \`ahead\` weeks after
create function partitions_v1(at timestamptz, ahead int) returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare w timestamptz; p text; t text;
begin
  for i in -1 .. ahead loop
    w := date_trunc('week', at at time zone 'utc') at time zone 'utc' + i * interval '7 days';
    foreach t in array array['task', 'run_event'] loop
      p := t || '_' || to_char(w at time zone 'utc', 'YYYYMMDD');
      if to_regclass(p) is null then
        execute format('create table %I partition of %I for values from (%L) to (%L)', p, t, uuid7_floor(w), uuid7_floor(w + interval '7 days'));
        execute format('alter table %I set (fillfactor = %s)', p, case t when 'task' then 80 else 100 end);
      end if;
    end loop;
  end loop;
end $$;
select partitions_v1(clock_timestamp(), 8);`;

/** Row security is the second wall behind the authorisation check: the engine sees all, the api only its workspace. */
const roles = `
do $$ begin
  if not exists (select from pg_roles where rolname = 'tiu_engine') then create role tiu_engine nologin; end if;
  if not exists (select from pg_roles where rolname = 'tiu_api') then create role tiu_api nologin; end if;
  execute format('grant tiu_engine, tiu_api to %I', current_user);
exception when duplicate_object or unique_violation then null; -- made by another database of the same server at the same instant
end $$;
grant usage on schema public to tiu_engine, tiu_api;
grant select, insert, update, delete on all tables in schema public to tiu_engine, tiu_api;
alter default privileges in schema public grant select, insert, update, delete on tables to tiu_engine, tiu_api;
do $$ declare t text; begin
  for t in select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace') loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy engine on %I to tiu_engine using (true) with check (true)', t);
    execute format('create policy own_workspace on %I to tiu_api using (workspace = current_setting(''tiu.workspace'')::uuid) with check (workspace = current_setting(''tiu.workspace'')::uuid)', t);
  end loop;
end $$;`;
