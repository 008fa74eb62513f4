import { Migration } from '@mikro-orm/migrations';

/**
 * Runs that only wait are ended by the commit that cancels them. Their executions in Temporal learn of it when there is time:
 * `unshown` has a row for each that has not.
 */
export class Migration20261129000031_closings extends Migration {
  override name = 'Migration20261129000031_closings';

  override up(): void {
    for (const statement of [table, ending, commands, telling, reading]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const plans = `set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s'`;

/** asked: how often its execution was told to look; asked_at: when last. */
const table = `
create table unshown (run uuid primary key, workspace uuid not null, asked smallint not null default 0, asked_at timestamptz(3));
create index unshown_next on unshown (asked, run);
create index unshown_asked on unshown (asked_at) where asked_at is not null;
grant select, insert, update, delete on unshown to tiu_engine, tiu_api;
alter table unshown enable row level security;
create policy engine on unshown to tiu_engine using (true) with check (true);
create policy own_workspace on unshown to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;

/**
 * Ends those of the given runs that were asked to end and only wait for times, people and events, as their executions would: the
 * same rows and events. Returns them. Left to their executions are runs in which anything is at work, decided or due, that are
 * paused or have something to clean up, and those of large plans (whether these clean up is not worth reading them for; nobody
 * waits longer for a commit than 5,000 tasks take). \`waiting\` means that nothing was in flight, and whatever begins after that
 * changes it or leaves seg_open.
 * Waits are decided without the lock of their run: they are locked here, and one that somebody holds is being decided just now.
 */
const ending = `
create function end_waiting_v1(p_runs uuid[]) returns uuid[] language plpgsql volatile ${plans} as $$
declare v_now timestamptz(3); v_runs uuid[]; begin
  perform 1 from run_state s where s.run = any(p_runs) order by s.run for no key update;
  v_now := clock_timestamp();
  with c as materialized (
    select s.run, s.intent, s.total, r.plan, sum(s.total) over (order by s.run) as tasks from run_state s join run r on r.id = s.run
    where s.run = any(p_runs) and s.intent in ('cancel', 'force') and s.started is not null and s.finished is null and s.status = 'waiting'
      and s.phase = 0 and not s.paused and s.held is null and s.seg_open = 0),
  p as materialized (
    select p.hash from plan p where p.hash in (select c.plan from c where c.intent = 'cancel')
      and case when pg_column_size(p.body) < 16384 then p.body->'graph'->'finally' is null and p.body->'graph'->'undoes' is null end)
  select array_agg(c.run order by c.run) into v_runs from c
  where c.tasks <= 5000 and (c.intent = 'force' or c.plan in (select p.hash from p))
    and not exists (select from generate_series(0, c.total - 1) g(task) cross join lateral
        (select t.status from task t where t.run = c.run and t.task = g.task and t.item = -1 order by t.generation desc limit 1) l
      where l.status in ('running', 'retrying'));
  if v_runs is null then return '{}'; end if;

  with l as materialized (
    select w.run, w.decision, w.until from wait w
    where w.run = any(v_runs) and not w.closed and w.kind in ('timer', 'event', 'approval', 'deadline') for update skip locked)
  select array_agg(x.run) into v_runs from unnest(v_runs) x(run)
  where (select count(*) from wait w where w.run = x.run and not w.closed)
    = (select count(*) from l where l.run = x.run and l.decision is null and (l.until is null or l.until > v_now));
  if v_runs is null then return '{}'; end if;

  v_now := clock_timestamp();
  with s as materialized (select x.run, x.workspace, x.last_seq, x.total from run_state x where x.run = any(v_runs)),
  o as materialized (
    select s.run, s.workspace, g.task, coalesce(l.generation, 0) as generation, s.last_seq + row_number() over (partition by s.run order by g.task) as seq
    from s cross join lateral generate_series(0, s.total - 1) g(task) left join lateral
      (select t.generation, t.finished from task t where t.run = s.run and t.task = g.task and t.item = -1 order by t.generation desc limit 1) l on true
    where l.finished is null),
  t as (
    insert into task (run, task, item, generation, workspace, status, seq, started, finished)
      select o.run, o.task, -1, o.generation, o.workspace, 'cancelled', o.seq, v_now, v_now from o
    on conflict (run, task, item, generation) do update set status = 'cancelled', seq = excluded.seq, finished = excluded.finished, token = null, next_at = null),
  n as materialized (select s.run, s.workspace, s.last_seq + 1 + (select count(*) from o where o.run = s.run) as seq from s),
  e as (
    insert into run_event (run, seq, workspace, type, task, at)
      select o.run, o.seq, o.workspace, 'task.cancelled', o.task, v_now from o union all select n.run, n.seq, n.workspace, 'run.cancelled', null, v_now from n),
  w as (update wait x set closed = true where x.run = any(v_runs) and not x.closed),
  u as (insert into unshown (run, workspace) select n.run, n.workspace from n on conflict (run) do update set asked = 0, asked_at = null)
  update run_state x set status = 'cancelled', finished = v_now, open = 0, epoch = x.epoch + 1, owner = null, owner_until = null, last_seq = n.seq, applied_seq = n.seq
    from n where x.run = n.run;
  return v_runs;
end $$;`;

/** A cancel, and a step of a bulk job, with the end of what only waits in the same commit. */
const commands = `
create function cancel_v1(p_run uuid, p_ws uuid, p_payload json, p_data json, p_reason text, p_actor text, p_audit uuid, p_force boolean)
returns table (seq bigint, ended boolean) language plpgsql volatile set lock_timeout = '2s' as $$
begin
  seq := command_v1(p_run, p_ws, 'cancel', p_payload, p_data, p_reason, p_actor, p_audit, p_force);
  ended := seq > 0 and cardinality(end_waiting_v1(array[p_run])) > 0;
  return next;
end $$;
create function bulk_step_v2(p_bulk uuid, p_from uuid, p_to uuid, p_last boolean, p_runs uuid[], p_audit uuid[], p_orders json)
returns table (applied uuid[], ended uuid[]) language plpgsql volatile set lock_timeout = '2s' as $$
begin
  applied := bulk_step_v1(p_bulk, p_from, p_to, p_last, p_runs, p_audit, p_orders);
  ended := case when exists (select from bulk b where b.id = p_bulk and b.type = 'cancel') and cardinality(applied) > 0 then end_waiting_v1(applied) else '{}' end;
  return next;
end $$;`;

/**
 * Runs whose executions are told to look: again after 10 s, then later and later. Of those told less than 10 s ago there are at
 * most p_n at a time. asked: how often it had been told before.
 */
const telling = `
create function claim_unshown_v1(p_n int) returns table (run uuid, total int, asked int) language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare v_now timestamptz(3) := clock_timestamp(); v_runs uuid[]; begin
  v_runs := array(select u.run from unshown u where u.asked_at is null or u.asked_at < v_now - interval '10 s' * power(2, u.asked - 1) order by u.asked, u.run
    limit greatest(0, p_n - (select count(*) from unshown x where x.asked_at > v_now - interval '10 s')) for no key update skip locked);
  delete from unshown u where u.run = any(v_runs) and not exists (select from run_state s where s.run = u.run and s.finished is not null); -- opened again
  return query with u as (update unshown u set asked = least(u.asked + 1, 30), asked_at = v_now where u.run = any(v_runs) returning u.run, u.asked)
    select u.run, s.total, u.asked - 1 from u join run_state s on s.run = u.run;
end $$;`;

/** As in Migration20261129000015_phases. An execution that learns that its run has ended shows it: nobody has to tell it again. */
const reading = `
create or replace function load_run_v1(p_run uuid) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_first boolean; v_now timestamptz(3); begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null then return json_build_object('closed', 'unknown'); end if;
  if s.finished is not null then
    delete from unshown u where u.run = p_run;
    return json_build_object('closed', s.status, 'reason', s.reason, 'failure', s.failure);
  end if;
  if s.started is null and s.epoch > 0 then return json_build_object('closed', 'unknown'); end if; -- opened again: admission begins it
  v_first := s.started is null; v_now := clock_timestamp();
  update run_state set epoch = epoch + 1, seg_open = 0, status = case when paused then 'paused' else 'running' end, started = coalesce(started, v_now),
    applied_seq = last_seq + v_first::int, last_seq = last_seq + v_first::int where run = p_run;
  if v_first then insert into run_event (run, seq, workspace, type, at) values (p_run, s.last_seq + 1, s.workspace, 'run.started', v_now); end if;
  return json_build_object('epoch', s.epoch + 1, 'cursor', s.last_seq + v_first::int, 'intent', stop_v1(s), 'phase', s.phase, 'held', s.held, 'due', due_ms_v1(p_run), 'rows', task_rows_v1(p_run, null));
end $$;
-- What an execution has missed of a run that was ended without it, as read_changes_v2 would say it; null: the run is open, or gone
create function read_closed_v1(p_run uuid, p_since bigint) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; begin
  select * into s from run_state where run = p_run and finished is not null;
  if s.run is null then return null; end if;
  delete from unshown u where u.run = p_run;
  return json_build_object('cursor', s.last_seq, 'intent', s.intent, 'phase', s.phase, 'held', null, 'due', null, 'rows',
    (select coalesce(json_agg(json_build_array(t.task, t.status, t.seq, t.generation, coalesce(t.branch, 0))), '[]') from task t where t.run = p_run and t.item = -1 and t.seq > p_since));
end $$;`;
