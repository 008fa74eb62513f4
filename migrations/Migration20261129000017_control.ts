import { Migration } from '@mikro-orm/migrations';

/**
 * What a person may ask of a run besides its end.
 */
export class Migration20261129000017_control extends Migration {
  override name = 'Migration20261129000017_control';

  override up(): void {
    for (const statement of [control]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const control = `
-- event, command and audit row of what a person did, under one number, for a run that the caller has locked
create or replace function note_command_v1(s run_state, p_type text, p_task int, p_payload json, p_data json, p_actor text, p_audit uuid, p_now timestamptz) returns void language plpgsql volatile as $$
begin
  insert into run_event (run, seq, workspace, type, task, data, at) values (s.run, s.last_seq + 1, s.workspace, 'command.' || p_type, p_task, p_data, p_now);
  insert into command (run, seq, workspace, type, task, payload, actor, at) values (s.run, s.last_seq + 1, s.workspace, p_type, p_task, p_payload, p_actor, p_now);
  insert into audit (id, workspace, actor, action, subject, data, at) values (p_audit, s.workspace, p_actor, 'run.' || p_type, 'run:' || s.run, p_payload, p_now);
  insert into untold (run, workspace) values (s.run, s.workspace)
    on conflict (run) do update set poke_after = null;
end $$;
-- p_tasks null: the whole run. Same answers as command_v1; -1: it is so already, or all tasks to be paused have ended (those that have are left out)
create or replace function pause_v1(p_run uuid, p_ws uuid, p_pause boolean, p_tasks int[], p_payload json, p_data json, p_actor text, p_audit uuid)
returns bigint language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
declare s run_state; v_open int[]; v_held int[]; begin
  select * into s from run_state where run = p_run and workspace = p_ws for no key update;
  if s.run is null then return 0; end if;
  if s.finished is not null then return null; end if;
  if p_tasks is null then
    if s.paused = p_pause and (p_pause or s.held is null) then return -1; end if;
    v_held := case when p_pause then s.held end;
  else
    if p_pause then
      v_open := array(select p.task from unnest(p_tasks) p(task) where (select t.finished from task t
        where t.run = p_run and t.task = p.task and t.item = -1 order by t.generation desc limit 1) is null);
    end if;
    select nullif(array(select distinct h from unnest(coalesce(s.held, '{}') || coalesce(v_open, '{}')) h where p_pause or h <> all(p_tasks) order by h), '{}') into v_held;
    if v_held is not distinct from s.held then return -1; end if;
  end if;
  perform note_command_v1(s, case when p_pause then 'pause' else 'resume' end, null, p_payload, p_data, p_actor, p_audit, clock_timestamp());
  update run_state set last_seq = s.last_seq + 1, command_seq = s.last_seq + 1, held = v_held, paused = case when p_tasks is null then p_pause else paused end,
    status = case when p_tasks is not null or started is null then status when p_pause then 'paused' else 'running' end where run = p_run;
  if not p_pause then update wait set dispatched = false where run = p_run and kind = 'map' and not closed and decision is null; end if;
  return s.last_seq + 1;
end $$;
/* A closed run goes on: tasks in a new generation (c_task: those that keep the items that are done), the rest as it stands.
   Answers as above; -2: the run has changed since p_seq; -1: it is open. It waits for its turn like a new one. */
create or replace function reopen_run_v1(p_run uuid, p_ws uuid, p_seq bigint, p_tasks int[], c_task int[], p_payload json, p_data json, p_actor text, p_audit uuid)
returns bigint language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
declare s run_state; r run; v_now timestamptz(3); v_seq bigint; v_age int := coalesce(nullif(current_setting('tiu.priority_age', true), '')::int, 60000); begin
  select * into s from run_state where run = p_run and workspace = p_ws for no key update;
  if s.run is null then return 0; end if;
  if s.finished is null then return -1; end if;
  if s.last_seq <> p_seq then return -2; end if;
  select * into r from run x where x.id = p_run;
  v_now := clock_timestamp();
  perform note_command_v1(s, 'retry', null, p_payload, p_data, p_actor, p_audit, v_now);
  v_seq := s.last_seq + 2;
  insert into run_event (run, seq, workspace, type, at) values (p_run, v_seq, s.workspace, 'run.reopened', v_now);
  with g as (select x.task, 1 + coalesce((select max(t.generation) from task t where t.run = p_run and t.task = x.task and t.item = -1), -1) as generation, v_seq + x.i as seq
      from unnest(p_tasks) with ordinality x(task, i)),
    n as (insert into task (run, task, item, generation, workspace, status, seq) select p_run, g.task, -1, g.generation, s.workspace, 'pending', g.seq from g),
    i as (insert into task (run, task, item, generation, workspace, status, branch, attempt, losses, seq, output, output_ref, output_size, started, finished)
      select t.run, t.task, t.item, g.generation, t.workspace, t.status, t.branch, t.attempt, t.losses, g.seq, t.output, t.output_ref, t.output_size, t.started, t.finished
      from g join task t on t.run = p_run and t.task = g.task and t.item >= 0 and t.generation = g.generation - 1 and t.status in ('completed', 'skipped') where g.task = any(c_task))
  insert into run_event (run, seq, workspace, type, task, data, at)
    select p_run, g.seq, s.workspace, 'task.pending', g.task, json_build_object('generation', g.generation, 'keptItems', g.task = any(c_task)), v_now from g;
  v_seq := v_seq + cardinality(p_tasks);
  delete from run_output o where o.run = p_run;
  update wait w set closed = true where w.run = p_run and not w.closed;
  update run_state set status = 'queued', intent = null, reason = null, failure = null, phase = 0, decided = null, paused = false, held = null, finished = null, started = null,
    owner = null, owner_until = null, seg_open = 0, restarts = 0, cancel_sent = false, poked_seq = 0, poke_after = null, not_before = null,
    deadline = v_now + (r.deadline - r.created), rank = v_now + r.priority * v_age * interval '1 ms', open = cardinality(p_tasks),
    failed = (select count(*) from (select distinct on (t.task) t.status from task t where t.run = p_run and t.item = -1 and t.task < s.total order by t.task, t.generation desc) x where x.status in ('failed', 'timed_out')),
    last_seq = v_seq, command_seq = s.last_seq + 1, applied_seq = v_seq where run = p_run;
  return s.last_seq + 1;
end $$;
-- -1: the task or item has ended, or its time has not come or is over (p_main: the first task of finally); p_status: skipped or completed
create or replace function settle_task_v1(p_run uuid, p_ws uuid, p_task int, p_main int, p_item int, p_status text, p_output json, p_ref bytea, p_size int, p_payload json, p_data json, p_actor text, p_audit uuid)
returns bigint language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
declare s run_state; t task; m task; v_now timestamptz(3); v_seq bigint; v_generation int; begin
  select * into s from run_state where run = p_run and workspace = p_ws for no key update;
  if s.run is null then return 0; end if;
  if s.finished is not null then return null; end if;
  if s.phase <> (case when p_task < p_main then 0 else 2 end) then return -1; end if;
  v_generation := coalesce((select max(x.generation) from task x where x.run = p_run and x.task = p_task and x.item = -1), 0);
  select * into m from task x where x.run = p_run and x.task = p_task and x.item = -1 and x.generation = v_generation;
  select * into t from task x where x.run = p_run and x.task = p_task and x.item = p_item and x.generation = v_generation;
  if m.finished is not null or t.finished is not null then return -1; end if;
  v_now := clock_timestamp();
  perform note_command_v1(s, case p_status when 'skipped' then 'skip' else 'complete' end, p_task, p_payload, p_data, p_actor, p_audit, v_now);
  v_seq := s.last_seq + 1;
  if p_item = -1 then v_seq := end_items_v1(s, p_task, v_generation, v_seq, v_now); end if;
  v_seq := v_seq + 1;
  insert into task (run, task, item, generation, workspace, status, seq, output, output_ref, output_size, started, finished)
    values (p_run, p_task, p_item, v_generation, s.workspace, p_status, v_seq, p_output, p_ref, p_size, case when p_status = 'completed' then v_now end, v_now)
    on conflict (run, task, item, generation) do update set status = p_status, token = null, next_at = null, failure = null, seq = v_seq, output = p_output, output_ref = p_ref, output_size = p_size, finished = v_now;
  insert into run_event (run, seq, workspace, type, task, item, data, at) values (p_run, v_seq, s.workspace, 'task.' || p_status, p_task, nullif(p_item, -1), p_data, v_now);
  if p_item = -1 then update wait w set closed = true where w.run = p_run and w.task = p_task and not w.closed; end if;
  update run_state set last_seq = v_seq, command_seq = s.last_seq + 1, open = open - (p_item = -1)::int where run = p_run;
  return s.last_seq + 1;
end $$;
-- runs that were not told what was asked of them: at once, then every 2 s until whoever claims them has told them (told_v1). That a
-- workflow has read it meanwhile is no sign: what read may belong to an attempt that Temporal has given up.
create or replace function claim_untold_v1(p_n int) returns table (run uuid, total int, claim text) language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  delete from untold u where u.run in (select x.run from untold x join run_state s on s.run = x.run where s.finished is not null order by x.run limit 500);
  return query with u as (update untold u set poke_after = clock_timestamp() + interval '2 s' where u.run in (
      select x.run from untold x join run_state s on s.run = x.run where s.started is not null and s.finished is null and (x.poke_after is null or x.poke_after < clock_timestamp())
      order by x.run limit p_n for no key update of x) returning u.run, u.poke_after)
    select u.run, s.total, u.poke_after::text from u join run_state s on s.run = u.run;
end $$;
-- leaves those of which something more was asked since the claim
create function told_v1(p_runs uuid[], p_claims text[]) returns void language sql volatile set lock_timeout = '2s' as $$
  delete from untold u where (u.run, u.poke_after) in (select c.run, c.claim::timestamptz from unnest(p_runs, p_claims) c(run, claim)) $$;`;
