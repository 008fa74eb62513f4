import { Migration } from '@mikro-orm/migrations';

/**
 * How runs begin and end, with phases and pauses.
 */
export class Migration20261129000016_endings extends Migration {
  override name = 'Migration20261129000016_endings';

  override up(): void {
    for (const statement of [beginning, ending, advance, cancel]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** Begun anew by admission, or by the worker that takes over. */
const beginning = `
create or replace function begin_runs_v1(p_runs uuid[], p_worker uuid, p_claim_ms int)
returns table (run uuid, workspace uuid, definition text, title text, parent uuid, priority smallint, total int, mode text, epoch int, cursor bigint,
  intent text, due double precision, plan text, input json, input_size int, started timestamptz) language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare v_now timestamptz(3) := clock_timestamp(); begin
  return query
  with b as (
    update run_state s set owner = p_worker, owner_until = v_now + make_interval(secs => p_claim_ms / 1000.0), epoch = s.epoch + 1, seg_open = 1,
      status = case when s.paused then 'paused' else 'running' end, started = v_now, last_seq = s.last_seq + 1, applied_seq = s.last_seq + 1
    where s.run = any(p_runs) and s.started is null and s.finished is null
    returning s.run, s.workspace, s.total, s.epoch, s.last_seq, stop_v1(s) as intent, s.deadline
  ), e as (insert into run_event (run, seq, workspace, type, at) select b.run, b.last_seq, b.workspace, 'run.started', v_now from b)
  select b.run, b.workspace, r.definition,
    coalesce(d.title, (select p.body->>'title' from plan p where p.hash = r.plan and d.name is null and pg_column_size(p.body) < 16384)),
    r.parent, r.priority, b.total, r.mode, b.epoch, b.last_seq, b.intent,
    case when b.deadline is not null and b.intent is null then greatest(0, extract(epoch from b.deadline - v_now) * 1000)::double precision end,
    encode(r.plan, 'hex'), case when pg_column_size(r.input) <= 65536 then r.input end, coalesce(octet_length(r.input::text), 0), v_now
  from b join run r on r.id = b.run
    left join definition d on d.workspace = r.workspace and d.name = r.definition and d.number = r.definition_number
  order by array_position(p_runs, b.run);
end $$;
create or replace function reclaim_runs_v1(p_dead uuid, p_worker uuid, p_n int, p_claim_ms int, p_stall_ms int)
returns table (run uuid, workspace uuid, definition text, title text, parent uuid, priority smallint, total int, mode text, epoch int, cursor bigint,
  intent text, due double precision, plan text, input json, input_size int, started timestamptz)
language plpgsql volatile set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  if not may_take_v1(p_dead, p_stall_ms) then return; end if;
  return query
  with o as (
    select s.run from run_state s where s.owner = p_dead and s.started is not null and s.finished is null and not waits_only_v1(s)
    order by s.run limit p_n for no key update skip locked
  ), b as (
    update run_state s set owner = p_worker, owner_until = clock_timestamp() + make_interval(secs => p_claim_ms / 1000.0), epoch = s.epoch + 1,
      status = case when s.paused then 'paused' else 'running' end, applied_seq = s.last_seq, cancel_sent = false, poked_seq = 0, poke_after = null
    from o where s.run = o.run returning s.run, s.workspace, s.total, s.epoch, s.last_seq, stop_v1(s) as intent, s.started
  ), m as (
    update wait w set dispatched = false from o where w.run = o.run and w.kind = 'map' and not w.closed and w.dispatched and w.decision is null
  )
  select b.run, b.workspace, h.definition, h.title, h.parent, h.priority, b.total, r.mode, b.epoch, b.last_seq, b.intent, due_ms_v1(b.run),
    encode(r.plan, 'hex'), case when pg_column_size(r.input) <= 65536 then r.input end, coalesce(octet_length(r.input::text), 0), b.started
  from b join run r on r.id = b.run cross join lateral run_head_v1(b.run) h order by b.run;
end $$;`;

/** The last resorts: of runs that have not begun, and of those whose execution an operator ended. */
const ending = `
create or replace function end_queued_v1(p_n int) returns table (run uuid) language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare s run_state; v_run uuid; v_now timestamptz(3); v_status text; v_n int; begin
  for v_run in select x.run from ((select q.run from run_state q where q.intent is not null and q.finished is null and q.started is null order by q.run limit p_n)
      union (select q.run from run_state q where q.started is null and q.finished is null and q.deadline is not null and q.deadline <= clock_timestamp() order by q.deadline limit p_n)) x order by 1 loop
    select * into s from run_state q where q.run = v_run and q.started is null and q.finished is null for no key update skip locked;
    continue when s.run is null;
    v_now := clock_timestamp();
    v_status := case when coalesce(s.intent, 'timeout') = 'timeout' then 'timed_out' else 'cancelled' end;
    with latest as (select distinct on (t.task) t.task, t.generation, t.finished from task t where s.epoch > 0 and t.run = s.run and t.item = -1 and t.task < s.total order by t.task, t.generation desc),
      o as (select g.task, coalesce(l.generation, 0) as generation, s.last_seq + row_number() over (order by g.task) as seq
        from generate_series(0, s.total - 1) g(task) left join latest l on l.task = g.task where l.finished is null),
      t as (insert into task (run, task, item, generation, workspace, status, seq, finished) select s.run, o.task, -1, o.generation, s.workspace, 'cancelled', o.seq, v_now from o
        on conflict (run, task, item, generation) do update set status = 'cancelled', seq = excluded.seq, finished = excluded.finished)
    insert into run_event (run, seq, workspace, type, task, at) select s.run, o.seq, s.workspace, 'task.cancelled', o.task, v_now from o;
    get diagnostics v_n = row_count;
    v_n := s.last_seq + v_n + 1;
    insert into run_event (run, seq, workspace, type, at) values (s.run, v_n, s.workspace, 'run.' || v_status, v_now);
    update run_state q set status = v_status, intent = coalesce(q.intent, 'timeout'), finished = v_now, open = 0, epoch = q.epoch + 1, last_seq = v_n, applied_seq = v_n
      where q.run = s.run;
    run := s.run;
    return next;
  end loop;
end $$;
create or replace function close_by_hand_v1(p_run uuid, p_failure json) returns bigint language plpgsql set lock_timeout = '2s' as $$
declare
  s run_state;
  at timestamptz(3);
  n int;
begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null or s.finished is not null then return null; end if;
  at := clock_timestamp();
  with latest as (
    select distinct on (t.task, t.item) t.task, t.item, t.generation, t.status, t.attempt from task t where t.run = p_run order by t.task, t.item, t.generation desc
  ), open as (
    select l.task, l.item, l.generation, l.attempt from latest l where l.status not in ('completed', 'failed', 'skipped', 'blocked', 'timed_out', 'cancelled', 'compensated')
    union all
    select i, -1, 0, 0 from generate_series(0, s.total - 1) i where not exists (select from latest l where l.task = i and l.item = -1)
  ), numbered as (
    select o.*, s.last_seq + row_number() over (order by o.task, o.item desc) as seq from open o
  ), settled as (
    insert into task (run, task, item, generation, workspace, status, attempt, seq, failure, finished)
    select p_run, o.task, o.item, o.generation, s.workspace, 'cancelled', o.attempt, o.seq, p_failure, at from numbered o
    on conflict (run, task, item, generation) do update set status = 'cancelled', token = null, seq = excluded.seq, failure = excluded.failure,
      finished = excluded.finished, next_at = null
    returning task, item, attempt, seq
  )
  insert into run_event (run, seq, workspace, type, task, item, attempt, data, at)
  select p_run, t.seq, s.workspace, 'task.cancelled', t.task, nullif(t.item, -1), t.attempt, p_failure, at from settled t;
  get diagnostics n = row_count;
  insert into run_event (run, seq, workspace, type, data, at) values (p_run, s.last_seq + n + 1, s.workspace, 'run.failed', p_failure, at);
  update wait set closed = true where run = p_run and not closed;
  update run_state set status = 'failed', failure = p_failure, finished = at, started = coalesce(started, at), open = 0, epoch = epoch + 1,
    last_seq = s.last_seq + n + 1, applied_seq = greatest(applied_seq, command_seq) where run = p_run;
  return s.last_seq + n + 1;
end $$;`;

/** Tasks have settled: how the run ends is decided, and what cleans up after it begins. Refused as a closing would be. */
const advance = `
create or replace function advance_run_v1(p_run uuid, p_epoch int, p_phase int, p_main int, p_status text, p_failure json, p_data json, p_timeout_ms bigint,
  b_task int[], b_generation int[], u_task int[], u_generation int[])
returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_now timestamptz(3); v_seq bigint; v_undone bigint; begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null or s.epoch <> p_epoch or s.finished is not null then return json_build_object('stale', true); end if;
  if s.phase >= p_phase then return json_build_object('phase', s.phase, 'rows', task_rows_v1(p_run, null)); end if; -- told before
  if s.command_seq > s.applied_seq or s.open <> (case when s.intent = 'force' then 0 else s.total - p_main end) then return json_build_object('reopened', true); end if;
  if s.phase = 0 and p_status <> (case s.intent when 'force' then '' when 'timeout' then 'timed_out' when 'fail' then 'failed' when 'cancel' then 'cancelled' else p_status end) then
    return json_build_object('reopened', true);
  end if;
  v_now := clock_timestamp();
  v_seq := s.last_seq + 1;
  insert into run_event (run, seq, workspace, type, data, at)
    values (p_run, v_seq, s.workspace, case when p_phase = 1 then 'run.compensating' when s.phase = 1 then 'run.compensated' else 'run.finishing' end, p_data, v_now);
  insert into task (run, task, item, generation, workspace, status, seq)
    select p_run, b.task, -1, b.generation, s.workspace, 'pending', v_seq + b.i from unnest(b_task, b_generation) with ordinality b(task, generation, i)
    on conflict do nothing;
  insert into run_event (run, seq, workspace, type, task, at) select p_run, v_seq + b.i, s.workspace, 'task.pending', b.task, v_now from unnest(b_task) with ordinality b(task, i);
  v_seq := v_seq + cardinality(b_task);
  with u as (select u.task, u.generation, v_seq + row_number() over (order by u.i) as seq from unnest(u_task, u_generation) with ordinality u(task, generation, i)),
    t as (update task t set status = 'compensated', seq = u.seq from u where t.run = p_run and t.task = u.task and t.item = -1 and t.generation = u.generation)
  insert into run_event (run, seq, workspace, type, task, at) select p_run, u.seq, s.workspace, 'task.compensated', u.task, v_now from u;
  get diagnostics v_undone = row_count;
  update run_state set phase = p_phase, decided = p_status, failure = p_failure, last_seq = v_seq + v_undone, applied_seq = v_seq + v_undone, open = open + cardinality(b_task),
    deadline = case when p_phase = 2 then v_now + p_timeout_ms * interval '1 ms' else deadline end where run = p_run;
  return json_build_object('phase', p_phase, 'rows', task_rows_v1(p_run, null));
end $$;`;

/** As in Migration20261101000001_journal. Once a run cleans up, only force ends that sooner. */
const cancel = `
create or replace function command_v1(p_run uuid, p_ws uuid, p_type text, p_payload json, p_data json, p_reason text, p_actor text,
  p_audit uuid, p_force boolean)
returns bigint language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
declare s run_state; v_now timestamptz(3); v_seq bigint; begin
  select * into s from run_state where run = p_run and workspace = p_ws for no key update;
  if s.run is null then return 0; end if;
  if s.finished is not null then return null; end if;
  if s.phase > 0 and not p_force and coalesce(s.intent, '') not in ('cancel', 'force') then return -1; end if; -- how it ends is decided
  v_now := clock_timestamp();
  v_seq := s.last_seq + 1;
  insert into run_event (run, seq, workspace, type, data, at) values (p_run, v_seq, s.workspace, 'command.' || p_type, p_data, v_now);
  insert into command (run, seq, workspace, type, payload, actor, at) values (p_run, v_seq, s.workspace, p_type, p_payload, p_actor, v_now);
  insert into audit (id, workspace, actor, action, subject, data, at) values (p_audit, s.workspace, p_actor, 'run.' || p_type, 'run:' || p_run, p_payload, v_now);
  update run_state set last_seq = v_seq, command_seq = v_seq,
    intent = case when p_force or intent in ('cancel', 'force') then 'force' else 'cancel' end,
    reason = coalesce(reason, p_reason)
  where run = p_run;
  if s.intent in ('cancel', 'force') then -- Temporal takes one request to cancel: what follows it must be told
    insert into untold (run, workspace) values (p_run, p_ws) on conflict (run) do update set poke_after = null;
  end if;
  return v_seq;
end $$;`;
