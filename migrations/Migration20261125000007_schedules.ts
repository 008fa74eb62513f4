import { Migration } from '@mikro-orm/migrations';

/**
 * Schedules are rows; Temporal's schedules are made from them and only say when to look. A fire is a row too, decided once
 * under the lock of its schedule, so no time makes two runs whoever looks and how often.
 */
export class Migration20261125000007_schedules extends Migration {
  override name = 'Migration20261125000007_schedules';

  override up(): void {
    for (const statement of [tables, security, delayed, opening, decide, due, manual, drain]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * through: every fire time up to it is decided · next_at: the first one after it · revision: grows with every change; synced
 * is the one that Temporal has, seen a fingerprint of what it made of it.
 */
const tables = `
create table schedule (id uuid primary key, workspace uuid not null, name text not null, definition text not null, definition_version text,
  trigger int, spec json not null, compiled json not null, input json, priority text, labels json, overlap text not null, catchup_ms bigint not null,
  jitter_ms bigint not null, remaining int, paused boolean not null default false, note text, revision int not null default 1, synced int, seen text,
  through timestamptz(3) not null, next_at timestamptz(3), fired bigint not null default 0, skipped bigint not null default 0,
  missed bigint not null default 0, failed bigint not null default 0, last_at timestamptz(3), created timestamptz(3) not null,
  created_by text not null, updated timestamptz(3) not null, deleted timestamptz(3)) with (fillfactor = 70);
create unique index schedule_name on schedule (workspace, name) where deleted is null;
create index schedule_unsynced on schedule (id) where synced is distinct from revision or deleted is not null;
create index schedule_due on schedule (next_at) where not paused and deleted is null;
create table schedule_fire (schedule uuid not null, nominal timestamptz(3) not null, manual boolean not null, workspace uuid not null, kind text not null,
  status text not null, overlap text not null, run uuid, open boolean not null, failure json, at timestamptz(3) not null, by text not null,
  primary key (schedule, nominal, manual));
create index schedule_fire_todo on schedule_fire (schedule, nominal) where status in ('pending', 'buffered');
create index schedule_fire_open on schedule_fire (schedule) where open;`;

const security = `
do $$ declare t text; begin
  foreach t in array array['schedule', 'schedule_fire'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy engine on %I to tiu_engine using (true) with check (true)', t);
    execute format('create policy own_workspace on %I to tiu_api using (workspace = current_setting(''tiu.workspace'')::uuid) with check (workspace = current_setting(''tiu.workspace'')::uuid)', t);
  end loop;
end $$;
do $$ declare c record; begin
  for c in select attrelid::regclass as t, attname from pg_attribute where attrelid in ('schedule'::regclass, 'schedule_fire'::regclass)
    and atttypid = 'json'::regtype and attnum > 0 loop
    execute format('alter table %s alter column %I set compression lz4', c.t, c.attname);
  end loop;
exception when feature_not_supported then null;
end $$;`;

/** Queued runs that are not to begin before a time, by that time. */
const delayed = `
alter table run_state add column if not exists not_before timestamptz(3);
create index run_state_delayed on run_state (not_before) where not_before is not null and started is null and finished is null;`;

/** Whether a run of the schedule is open. One that was decided and not yet submitted counts; one that is gone does not. */
const opening = `
create function schedule_open_v1(p_schedule uuid) returns boolean language plpgsql volatile as $$
begin
  update schedule_fire f set open = false where f.schedule = p_schedule and f.open and f.status = 'started'
    and not exists (select from run_state s where s.run = f.run and s.finished is null);
  return exists (select from schedule_fire f where f.schedule = p_schedule and f.open);
end $$;`;

/** Writes one fire by the overlap policy; its schedule is locked. A time that has its run keeps it. Null: it was decided before. */
const decide = `
create function schedule_decide_v1(s schedule, p_nominal timestamptz, p_run uuid, p_kind text, p_overlap text, p_by text)
returns text language plpgsql volatile as $$
declare v_status text; v_buffered int; v_rows int; begin
  if p_kind in ('timer', 'sweep') and extract(epoch from clock_timestamp() - p_nominal) * 1000 > s.catchup_ms + s.jitter_ms then v_status := 'missed';
  elsif p_overlap = 'allowAll' then v_status := 'pending';
  else
    select count(*) into v_buffered from schedule_fire f where f.schedule = s.id and f.status = 'buffered';
    if v_buffered = 0 and not schedule_open_v1(s.id) then v_status := 'pending';
    elsif p_overlap = 'skip' or (p_overlap = 'bufferOne' and v_buffered > 0) or v_buffered >= 1000 then v_status := 'skipped';
    else
      v_status := 'buffered';
      if p_overlap in ('cancelOther', 'terminateOther') then
        update schedule_fire f set status = 'skipped' where f.schedule = s.id and f.status = 'buffered';
      end if;
    end if;
  end if;
  insert into schedule_fire as f (schedule, nominal, manual, workspace, kind, status, overlap, run, open, at, by)
    values (s.id, p_nominal, p_kind = 'trigger', s.workspace, p_kind, v_status, p_overlap, case when v_status = 'pending' then p_run end,
      v_status = 'pending', clock_timestamp(), p_by)
  on conflict (schedule, nominal, manual) do update set kind = excluded.kind, status = excluded.status, overlap = excluded.overlap, run = excluded.run,
    open = excluded.open, failure = null, at = excluded.at, by = excluded.by
    where p_kind = 'backfill' and f.status in ('skipped', 'missed', 'failed');
  get diagnostics v_rows = row_count;
  if v_rows = 0 then return null; end if;
  update schedule set fired = fired + (v_status = 'pending')::int, skipped = skipped + (v_status = 'skipped')::int, missed = missed + (v_status = 'missed')::int,
    last_at = case when v_status = 'pending' then clock_timestamp() else last_at end where id = s.id;
  return v_status;
end $$;`;

/**
 * Decides the times between through and p_until. 'moved': somebody did, or changed the schedule, since it was read.
 * p_lost: earlier times that are beyond the catch-up window and only counted.
 */
const due = `
create function schedule_due_v1(p_schedule uuid, p_revision int, p_through timestamptz, p_until timestamptz, p_next timestamptz,
  p_times timestamptz[], p_runs uuid[], p_kind text, p_lost bigint) returns text language plpgsql volatile set lock_timeout = '2s' as $$
declare s schedule; v_status text; v_left int; begin
  select * into s from schedule x where x.id = p_schedule for no key update;
  if s.id is null or s.deleted is not null then return 'gone'; end if;
  if s.through <> p_through or s.revision <> p_revision then return 'moved'; end if;
  v_left := s.remaining;
  if not s.paused then
    for i in 1 .. cardinality(p_times) loop
      exit when v_left = 0;
      v_status := schedule_decide_v1(s, p_times[i], p_runs[i], p_kind, s.overlap, 'schedule:' || s.id);
      if v_status in ('pending', 'buffered') then v_left := v_left - 1; end if;
    end loop;
  end if;
  update schedule set through = greatest(through, p_until), next_at = p_next, missed = missed + case when s.paused then 0 else p_lost end, remaining = v_left,
    paused = paused or coalesce(v_left = 0, false), note = case when v_left = 0 and not s.paused then 'no remaining actions' else note end,
    revision = revision + (coalesce(v_left = 0, false) and not s.paused)::int where id = s.id;
  return 'ok';
end $$;`;

const manual = `
-- A fire of now, besides the times of the schedule. Null: there is no such schedule.
create function schedule_trigger_v1(p_schedule uuid, p_workspace uuid, p_run uuid, p_overlap text, p_by text)
returns table (nominal timestamptz, status text) language plpgsql volatile set lock_timeout = '2s' as $$
declare s schedule; v_at timestamptz(3); begin
  select * into s from schedule x where x.id = p_schedule and x.workspace = p_workspace and x.deleted is null for no key update;
  if s.id is null then return; end if;
  v_at := clock_timestamp();
  while exists (select from schedule_fire f where f.schedule = s.id and f.nominal = v_at and f.manual) loop v_at := v_at + interval '1 ms'; end loop;
  return query select v_at, schedule_decide_v1(s, v_at, p_run, 'trigger', p_overlap, p_by);
end $$;
-- Decides those of the times that have no run yet. Null: there is no such schedule.
create function schedule_backfill_v1(p_schedule uuid, p_workspace uuid, p_times timestamptz[], p_runs uuid[], p_overlap text, p_by text)
returns int language plpgsql volatile set lock_timeout = '2s' as $$
declare s schedule; v_n int := 0; begin
  select * into s from schedule x where x.id = p_schedule and x.workspace = p_workspace and x.deleted is null for no key update;
  if s.id is null then return null; end if;
  for i in 1 .. cardinality(p_times) loop
    if schedule_decide_v1(s, p_times[i], p_runs[i], 'backfill', p_overlap, p_by) in ('pending', 'buffered') then v_n := v_n + 1; end if;
  end loop;
  return v_n;
end $$;`;

/** The next fire that waits gets its run once no other is open. */
const drain = `
create function schedule_drain_v1(p_schedule uuid, p_run uuid) returns boolean language plpgsql volatile set lock_timeout = '2s' as $$
declare s schedule; v_nominal timestamptz; v_manual boolean; begin
  select * into s from schedule x where x.id = p_schedule for no key update;
  if s.id is null or schedule_open_v1(s.id) then return false; end if;
  select f.nominal, f.manual into v_nominal, v_manual from schedule_fire f where f.schedule = s.id and f.status = 'buffered' order by f.nominal limit 1;
  if v_nominal is null then return false; end if;
  update schedule_fire f set status = 'pending', run = p_run, open = true where f.schedule = s.id and f.nominal = v_nominal and f.manual = v_manual;
  update schedule set fired = fired + 1, last_at = clock_timestamp() where id = s.id;
  return true;
end $$;`;
