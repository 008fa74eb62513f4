import { Migration } from '@mikro-orm/migrations';

/** Buckets of tokens of rate limits, counted across api processes; and row security without a gap for what requests ask. */
export class Migration20261129000037_limits extends Migration {
  override name = 'Migration20261129000037_limits';

  override up(): void {
    for (const statement of [buckets, take, quotas, usage, wall]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * full_at: when the bucket is full again, seconds since the epoch (the theoretical arrival time of GCRA). Unlogged: after a crash
 * of the server the buckets are full, which costs nobody anything, and a disk sync for each sign-in would.
 */
const buckets = `
create unlogged table rate_bucket (workspace uuid not null default '00000000-0000-0000-0000-000000000000', class text collate "C" not null,
  key text collate "C" not null, full_at double precision not null, primary key (class, key)) with (fillfactor = 50);
alter table rate_bucket enable row level security;
create policy engine on rate_bucket to tiu_engine using (true) with check (true);
grant select, insert, update, delete on rate_bucket to tiu_engine;
revoke all on rate_bucket from tiu_api;`;

/**
 * One row for each asked: how many tokens were granted, how many are left, when the next one is there and when the bucket is
 * full, ms. \`debt\`: tokens that were spent before they were asked for, and are charged whatever is left; below 0: given back.
 * Locked in one order, so that no two callers wait for each other; the time is read under the lock.
 */
const take = `
create function rate_take_v1(p_class text[], p_key text[], p_limit int[], p_seconds int[], p_debt int[], p_want int[])
returns table (i int, granted int, remaining int, next_ms float8, full_ms float8) language plpgsql volatile set lock_timeout = '2s' as $$
declare a record; v_full float8; v_now float8; v_step float8; v_have int; begin
  for a in select x.*, x.n::int as nr from unnest(p_class, p_key, p_limit, p_seconds, p_debt, p_want) with ordinality
      x(class, key, most, seconds, debt, want, n) order by x.class, x.key loop
    v_step := a.seconds::float8 / a.most;
    loop
      select b.full_at into v_full from rate_bucket b where b.class = a.class and b.key = a.key for no key update;
      exit when found;
      insert into rate_bucket (class, key, full_at) values (a.class, a.key, 0) on conflict do nothing;
    end loop;
    v_now := extract(epoch from clock_timestamp());
    v_full := greatest(greatest(v_full, v_now) + a.debt * v_step, v_now);
    -- the hundredth of a token makes up for what doubles lose
    v_have := greatest(0, floor(a.most - (v_full - v_now) / v_step + 0.01))::int;
    i := a.nr; granted := least(a.want, v_have); remaining := v_have - granted;
    v_full := v_full + granted * v_step;
    update rate_bucket b set full_at = v_full where b.class = a.class and b.key = a.key;
    next_ms := greatest(0, v_full - v_now - (a.most - 1) * v_step) * 1000;
    full_ms := (v_full - v_now) * 1000;
    return next;
  end loop;
end $$;`;

/** What operators have set for a workspace; used: what was added up; usage_delta: what is still to be. */
const quotas = `
create table workspace_quota (workspace uuid not null references workspace, name text collate "C" not null, max bigint not null check (max >= 0),
  set_by text not null, at timestamptz(3) not null, primary key (workspace, name));
create table workspace_usage (workspace uuid not null, name text collate "C" not null, used bigint not null, primary key (workspace, name));
create table usage_delta (workspace uuid not null, name text collate "C" not null, delta bigint not null);
create index usage_delta_of_workspace on usage_delta (workspace, name);
create index run_state_open_of_workspace on run_state (workspace) where finished is null;
create index api_key_of_workspace on api_key (workspace) where revoked is null;
grant select, insert, update, delete on workspace_quota, workspace_usage, usage_delta to tiu_engine;
revoke all on workspace_quota, workspace_usage, usage_delta from tiu_api;
grant select on workspace_quota, workspace_usage, usage_delta to tiu_api;
${['workspace_quota', 'workspace_usage', 'usage_delta']
  .map(
    (table) => `alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('\n')}`;

/**
 * Bytes of objects are noted, not added up: two commits that store objects of the same workspaces would wait for each other.
 * Of the owner, as whoever stores an object has no right to say how much there is.
 */
const usage = `
create function note_artifacts_v1() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$ begin
  insert into usage_delta (workspace, name, delta)
    select workspace, 'artifact_bytes', sum(size) * case tg_op when 'DELETE' then -1 else 1 end from changed group by workspace;
  return null;
end $$;
create trigger artifact_added after insert on artifact referencing new table as changed for each statement execute function note_artifacts_v1();
create trigger artifact_gone after delete on artifact referencing old table as changed for each statement execute function note_artifacts_v1();
insert into workspace_usage (workspace, name, used) select workspace, 'artifact_bytes', sum(size) from artifact group by workspace;`;

/**
 * What tiu_api may touch has row security, or holds nothing of anybody (plan: by the hash of its content). A partition asked by
 * its own name would have none, and what is made later gives rights by name alone.
 */
const wall = `
alter default privileges in schema public revoke all on tables from tiu_api;
do $$ declare p text; begin
  for p in select c.oid::regclass from pg_class c where c.relnamespace = 'public'::regnamespace and c.relispartition and c.relkind = 'r' loop
    execute format('revoke all on %s from tiu_api', p);
  end loop;
end $$;
revoke all on mikro_orm_migrations from tiu_api;
revoke update, delete on plan from tiu_api;
alter table workspace enable row level security;
create policy engine on workspace to tiu_engine using (true) with check (true);
create policy own_workspace on workspace to tiu_api using (id = current_setting('tiu.workspace')::uuid) with check (id = current_setting('tiu.workspace')::uuid);`;
