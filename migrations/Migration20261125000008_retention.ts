import { Migration } from '@mikro-orm/migrations';

/** Who holds which stored object, written in the commit that needs it; and how what has expired goes away. */
export class Migration20261125000008_retention extends Migration {
  override name = 'Migration20261125000008_retention';

  override up(): void {
    this.addSql('set local statement_timeout = 0');
    this.addSql(holders);
    this.addSql(backfill);
    this.addSql(tables);
    this.addSql(expiring);
    this.addSql(purging);
    this.addSql(dropping);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * Triggers, so that every function that writes an output, of whatever version, holds its objects in the same commit. A row
 * with both text and reference names objects inside its text, see src/activities/storedValue.ts.
 *
 * Taking hold of an artifact waits for a collector that has locked its row to delete it: it is then made anew.
 */
const holders = `
alter table artifact add column touched timestamptz(3) not null default now();
alter table artifact_ref add column run uuid;
create function hold_artifact() returns trigger language plpgsql set search_path = public, pg_temp as $$ begin
  if new.holder ~ '^(run|task|output):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' then new.run := substr(split_part(new.holder, ':', 2), 1, 36)::uuid; end if;
  perform 1 from artifact a where a.workspace = new.workspace and a.sha256 = new.sha256 for key share;
  return new;
end $$;
create trigger hold_artifact before insert on artifact_ref for each row execute function hold_artifact();

create function objects_of(p_output json, p_ref bytea, p_size int) returns table (sha256 bytea, size bigint) language sql immutable as $$
  select p_ref, p_size::bigint where p_output is null
  union
  select decode(m[1], 'hex'), m[2]::bigint from regexp_matches(p_output::text, '[{]"tiu:object":[[]"([0-9a-f]{64})",([0-9]+)[]][}]', 'g') m where p_output is not null
  order by 1 $$;
create function hold_objects(p_workspace uuid, p_holder text, p_output json, p_ref bytea, p_size int) returns void language plpgsql set search_path = public, pg_temp as $$ begin
  insert into artifact as a (workspace, sha256, size, media_type, created, created_by, touched)
    select p_workspace, o.sha256, o.size, 'application/json', clock_timestamp(), p_holder, clock_timestamp() from objects_of(p_output, p_ref, p_size) o
    on conflict (workspace, sha256) do update set deleting = null, touched = excluded.touched where a.deleting is not null;
  insert into artifact_ref (workspace, sha256, holder, created)
    select p_workspace, o.sha256, p_holder, clock_timestamp() from objects_of(p_output, p_ref, p_size) o on conflict do nothing;
end $$;
create function hold_task_output() returns trigger language plpgsql set search_path = public, pg_temp as $$ begin
  perform hold_objects(new.workspace, format('task:%s/%s/%s/%s', new.run, new.task, new.item, new.generation), new.output, new.output_ref, new.output_size);
  return null;
end $$;
create function hold_run_output() returns trigger language plpgsql set search_path = public, pg_temp as $$ begin
  perform hold_objects(new.workspace, 'output:' || new.run, new.output, new.output_ref, new.output_size);
  return null;
end $$;
create trigger hold_output_new after insert on task for each row when (new.output_ref is not null) execute function hold_task_output();
create trigger hold_output after update of output_ref on task for each row
  when (new.output_ref is not null and new.output_ref is distinct from old.output_ref) execute function hold_task_output();
create trigger hold_output after insert or update on run_output for each row when (new.output_ref is not null) execute function hold_run_output();`;

const backfill = `
update artifact_ref set run = substr(holder, 5)::uuid where holder ~ '^run:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
create index artifact_deleting on artifact (deleting) where deleting is not null;
create index artifact_ref_run on artifact_ref (run) where run is not null;
select hold_objects(workspace, format('task:%s/%s/%s/%s', run, task, item, generation), output, output_ref, output_size) from task where output_ref is not null;
select hold_objects(workspace, 'output:' || run, output, output_ref, output_size) from run_output where output_ref is not null;`;

/** \`expired_run\`: heads are gone, rows are to follow. \`maintenance_count\`: what a task has deleted so far, over all its attempts. */
const tables = `
insert into workspace (id, name, created) values ('00000000-0000-0000-0000-000000000000', 'tiu.system', now()) on conflict do nothing;
alter table workspace add column retention_days int check (retention_days between 0 and 36500);
create table expired_run (run uuid primary key, workspace uuid not null, at timestamptz(3) not null);
create table maintenance_count (workspace uuid not null, run uuid not null, key text not null, name text not null, n bigint not null, primary key (run, key, name));
do $$ declare t text; begin
  foreach t in array array['expired_run', 'maintenance_count'] loop
    execute format('grant select, insert, update, delete on %I to tiu_engine, tiu_api', t);
    execute format('alter table %I enable row level security', t);
    execute format('create policy engine on %I to tiu_engine using (true) with check (true)', t);
    execute format('create policy own_workspace on %I to tiu_api using (workspace = current_setting(''tiu.workspace'')::uuid) with check (workspace = current_setting(''tiu.workspace'')::uuid)', t);
  end loop;
end $$;
create function count_deleted(p_workspace uuid, p_run uuid, p_key text, p_name text, p_n bigint) returns void language sql volatile as $$
  insert into maintenance_count as c (workspace, run, key, name, n) select p_workspace, p_run, p_key, p_name, p_n where p_n > 0
  on conflict (run, key, name) do update set n = c.n + excluded.n $$;`;

/**
 * One step in the order of ids, which is that of creation: takes the heads of closed runs whose workspace keeps them no longer,
 * so that nobody finds a run of which half is gone. Returns where to go on; null at the end.
 */
const expiring = `
create function expire_runs_v1(p_workspace uuid, p_run uuid, p_key text, p_after uuid, p_days int, p_n int) returns uuid language plpgsql volatile
  set search_path = public, pg_temp set enable_seqscan = off set jit = off set lock_timeout = '2s' as $$
declare v_last uuid; v_seen int; v_gone uuid[]; v_n bigint; v_until uuid := uuid7_floor(clock_timestamp() - interval '1 hour'); begin
  select (array_agg(x.run order by x.run desc))[1], count(*) into v_last, v_seen
    from (select s.run from run_state s where s.run > p_after and s.run < v_until order by s.run limit p_n) x;
  select array_agg(l.run) into v_gone from (
    select s.run from run_state s left join workspace w on w.id = s.workspace
    where s.run > p_after and s.run <= v_last and s.finished is not null and s.run <> p_run
      and coalesce(w.retention_days, p_days) > 0 and s.finished < clock_timestamp() - coalesce(w.retention_days, p_days) * interval '1 day'
    order by s.run for update of s skip locked) l;
  if v_gone is not null then
    insert into expired_run (run, workspace, at) select s.run, s.workspace, clock_timestamp() from run_state s where s.run = any(v_gone) on conflict do nothing;
    delete from label l using (select r.workspace, r.id, e.key, e.value from run r cross join lateral json_each_text(r.labels) e where r.id = any(v_gone)) x
      where l.workspace = x.workspace and l.name = x.key and l.value = x.value and l.run = x.id;
    get diagnostics v_n = row_count;
    perform count_deleted(p_workspace, p_run, p_key, 'label', v_n);
    delete from run where id = any(v_gone);
    get diagnostics v_n = row_count;
    perform count_deleted(p_workspace, p_run, p_key, 'run', v_n);
    delete from run_state where run = any(v_gone);
    get diagnostics v_n = row_count;
    perform count_deleted(p_workspace, p_run, p_key, 'run_state', v_n);
  end if;
  return case when v_seen = p_n then v_last end;
end $$;`;

/** Deletes about p_n rows of expired runs. Returns whether there is more to do. */
const purging = `
create function purge_runs_v1(p_workspace uuid, p_run uuid, p_key text, p_n int) returns boolean language plpgsql volatile
  set search_path = public, pg_temp set enable_seqscan = off set jit = off set lock_timeout = '2s' as $$
declare v_runs uuid[]; v_left bigint := p_n; v_n bigint; v_table text; v_key text; begin
  select array_agg(x.run) into v_runs from (select e.run from expired_run e order by e.run limit greatest(1, p_n / 10) for update skip locked) x;
  if v_runs is null then return false; end if;
  for v_table, v_key in values ('task', 'run, task, item, generation'), ('run_event', 'run, seq'), ('command', 'run, seq'), ('wait', 'run, task, item, generation, kind'),
      ('slice', 'run, task, generation, k'), ('effect', 'run, task, item, generation, attempt'), ('run_output', 'run'),
      ('artifact_ref', 'workspace, sha256, holder'), ('lease', 'workspace, key, slot'), ('maintenance_count', 'run, key, name') loop
    execute format('delete from %1$I where (%2$s) in (select %2$s from %1$I where run = any($1) limit $2) and run = any($1)', v_table, v_key)
      using v_runs, v_left;
    get diagnostics v_n = row_count;
    perform count_deleted(p_workspace, p_run, p_key, v_table, v_n);
    v_left := v_left - v_n;
    if v_left <= 0 then return true; end if;
  end loop;
  delete from expired_run where run = any(v_runs);
  return exists (select from expired_run);
end $$;`;

/**
 * Drops weekly partitions that are empty and whose week is over for p_days. Nobody waits for it longer than 100 ms: a
 * partition that is in use is left for the next time. Only the owner may drop, so the function runs as the owner.
 */
const dropping = `
create function drop_partitions_v1(p_days int) returns text[] language plpgsql volatile security definer set search_path = public, pg_temp set lock_timeout = '100ms' as $$
declare p record; v_used boolean; v_gone text[] := '{}'; begin
  for p in select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent in ('task'::regclass, 'run_event'::regclass) and c.relname ~ '_[0-9]{8}$'
        and to_date(right(c.relname, 8), 'YYYYMMDD') + 7 + greatest(2, p_days) < current_date order by 1 loop
    begin
      execute format('select exists (select from %I)', p.name) into v_used;
      if not v_used then
        execute format('lock table %I in access exclusive mode', p.name);
        execute format('select exists (select from %I)', p.name) into v_used;
        if not v_used then
          execute format('drop table %I', p.name);
          v_gone := v_gone || p.name::text;
        end if;
      end if;
    exception when lock_not_available then null;
    end;
  end loop;
  return v_gone;
end $$;
revoke execute on function drop_partitions_v1(int) from public;
grant execute on function drop_partitions_v1(int) to tiu_engine;`;
