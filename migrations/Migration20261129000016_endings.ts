import { Migration } from '@mikro-orm/migrations';

/**
 * How runs begin and end, with phases and pauses.
 */
export class Migration20261129000016_endings extends Migration {
  override name = 'Migration20261129000016_endings';

  override up(): void {
    for (const statement of [journal, beginning, ending, advance, cancel]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** As in Migration20261128000014_items. */
const journal = `
create or replace function journal_commit_v1(
  p_wait boolean, r_run uuid[], r_epoch int[], r_applied bigint[],
  t_r int[], t_k int[], t_task int[], t_item int[], t_gen int[], t_attempt int[], t_token uuid[], t_status text[], t_branch int[],
  t_output json[], t_ref bytea[], t_size int[], t_failure json[], t_data json[], t_deadline bigint[], t_next bigint[], t_lost int[],
  w_t int[], w_kind text[], w_ms bigint[], w_until text[], w_parts int[], s_t int[], s_k int[], s_lo int[], s_hi int[],
  c_r int[], c_status text[], c_failure json[], c_output json[], c_ref bytea[], c_size int[])
returns table (r int, base bigint, seq bigint, intent text, unseen boolean, outcome text, refused int[]) language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare
  v_now timestamptz(3); v_runs int := cardinality(r_run); v_sent int := cardinality(t_r); v_written int; v_all boolean;
  v_at int[]; v_ok boolean[]; v_seq bigint[]; v_ws uuid[]; v_k int[] := t_k; v_bad int[];
begin
  if p_wait then -- one busy run, alone: at most lock_timeout
    perform 1 from run_state s where s.run = any(r_run) order by s.run for no key update;
  end if;
  select array_agg(l.r), array_agg(l.ok), array_agg(l.last_seq), array_agg(l.workspace), bool_and(l.ok) into v_at, v_ok, v_seq, v_ws, v_all
  from (select i.r::int as r, s.finished is null and (i.epoch = 0 or i.epoch = s.epoch) as ok, s.last_seq, s.workspace
    from unnest(r_run, r_epoch) with ordinality i(run, epoch, r) join run_state s on s.run = i.run
    order by s.run for no key update of s skip locked) l;
  v_now := clock_timestamp(); -- after the lock: times follow seq
  if v_at is null or cardinality(v_at) < v_runs then -- spread what was locked over the positions of r_run
    v_all := false;
    select array_agg(coalesce(a.ok, false) order by g), array_agg(a.seq order by g), array_agg(a.ws order by g) into v_ok, v_seq, v_ws
    from generate_series(1, v_runs) g left join unnest(v_at, v_ok, v_seq, v_ws) a(r, ok, seq, ws) on a.r = g;
  end if;

  if v_sent > 0 then
    insert into task as k (run, task, item, generation, workspace, status, branch, attempt, losses, token, seq, output, output_ref, output_size, failure,
        started, finished, next_at, deadline)
      select r_run[t.r], t.task, t.item, t.gen, v_ws[t.r], t.status, t.branch, t.attempt, coalesce(t.lost, 0), t.token, v_seq[t.r] + t.k, t.output, t.ref, t.size, t.failure,
        case when t.status not in ('skipped', 'blocked', 'cancelled') then v_now end, case when t.status not in ('running', 'waiting', 'retrying') then v_now end,
        v_now + t.next * interval '1 ms', v_now + t.deadline * interval '1 ms'
      from unnest(t_r, t_k, t_task, t_item, t_gen, t_attempt, t_token, t_status, t_branch, t_output, t_ref, t_size, t_failure, t_deadline, t_next, t_lost)
        t(r, k, task, item, gen, attempt, token, status, branch, output, ref, size, failure, deadline, next, lost)
      where v_ok[t.r] and (t.item = -1 or not exists (select from task m where m.run = r_run[t.r] and m.task = t.task and m.item = -1 and m.generation = t.gen and m.finished is not null))
    on conflict (run, task, item, generation) do update
      set status = excluded.status, branch = excluded.branch, attempt = excluded.attempt, losses = k.losses + excluded.losses, token = excluded.token, seq = excluded.seq,
        output = excluded.output, output_ref = excluded.output_ref, output_size = excluded.output_size, failure = excluded.failure,
        started = coalesce(k.started, excluded.started), finished = excluded.finished, next_at = excluded.next_at, deadline = coalesce(k.deadline, excluded.deadline)
      where k.finished is null and (excluded.attempt > k.attempt or excluded.attempt = k.attempt and excluded.token = k.token);
    get diagnostics v_written = row_count;
    if not v_all then select count(*) into v_sent from unnest(t_r) t(r) where v_ok[t.r]; end if;
    if v_written < v_sent then -- rows that belong to somebody else, and items of a task that has ended, are those that this transaction did not write
      select array_agg(t.i::int) into v_bad
      from unnest(t_r, t_task, t_item, t_gen) with ordinality t(r, task, item, gen, i)
      left join task k on k.run = r_run[t.r] and k.task = t.task and k.item = t.item and k.generation = t.gen
      where v_ok[t.r] and k.xmin is distinct from pg_current_xact_id()::xid;
      if coalesce(cardinality(v_bad), 0) <> v_sent - v_written then raise 'journal_commit_v1 must not run in a subtransaction'; end if;
      -- they get no event: the others move up
      select array_agg(case when z.kept then z.k end order by z.i) into v_k
      from (select t.i, t.kept, (row_number() over (partition by t.r, t.kept order by t.k))::int as k
        from (select x.r, x.k, x.i, v_ok[x.r] and x.i <> all(v_bad) as kept from unnest(t_r, t_k) with ordinality x(r, k, i)) t) z;
      update task k set seq = v_seq[t.r] + t.k
      from unnest(t_r, v_k, t_k, t_task, t_item, t_gen) t(r, k, was, task, item, gen)
      where t.k < t.was and k.run = r_run[t.r] and k.task = t.task and k.item = t.item and k.generation = t.gen;
    end if;
    if cardinality(w_t) > 0 then
      insert into wait (run, task, item, generation, kind, workspace, until, parts)
        select r_run[t_r[w.t]], t_task[w.t], t_item[w.t], t_gen[w.t], w.kind, v_ws[t_r[w.t]], coalesce(w.until::timestamptz, v_now + w.ms * interval '1 ms'), w.parts
        from unnest(w_t, w_kind, w_ms, w_until, w_parts) w(t, kind, ms, until, parts) where v_ok[t_r[w.t]] and v_k[w.t] is not null
      on conflict do nothing;
      insert into slice (run, task, generation, k, workspace, lo, hi)
        select r_run[t_r[s.t]], t_task[s.t], t_gen[s.t], s.k, v_ws[t_r[s.t]], s.lo, s.hi
        from unnest(s_t, s_k, s_lo, s_hi) s(t, k, lo, hi) where v_ok[t_r[s.t]] and v_k[s.t] is not null
      on conflict do nothing;
    end if;
  end if;

  return query
  with x as materialized (
    select t.r, t.k, t.task, t.item, t.attempt, t.status, coalesce(t.data, t.failure) as data, t.item = -1 and t.status not in ('running', 'waiting', 'retrying') as fin
    from unnest(t_r, v_k, t_task, t_item, t_attempt, t_status, t_failure, t_data) t(r, k, task, item, attempt, status, failure, data)
    where v_ok[t.r] and t.k is not null),
  d as (select y.r, count(y.k) as n, count(*) filter (where y.fin) as fin, count(*) filter (where y.fin and y.status in ('failed', 'timed_out')) as fail
    from (select x.r, x.k, x.fin, x.status from x union all select g, null, false, null from generate_series(1, v_runs) g where v_ok[g]) y group by y.r),
  u as (update run_state s set open = s.open - d.fin, failed = s.failed + d.fail, last_seq = s.last_seq + d.n, applied_seq = greatest(s.applied_seq, r_applied[d.r]),
      seg_open = case when r_epoch[d.r] > 0 then 0 else s.seg_open end,
      status = case when s.status in ('queued', 'waiting') then 'running' else s.status end,
      intent = case when s.intent is null and s.phase = 0 and s.deadline <= v_now then 'timeout' else s.intent end
    from d where s.run = r_run[d.r]
    returning d.r, v_seq[d.r] as base, s.last_seq,
      coalesce(case when s.phase = 0 or s.intent = 'force' then s.intent end, case when s.paused then 'pause' end) as intent, s.command_seq > s.applied_seq as unseen),
  e as (insert into run_event (run, seq, workspace, type, task, item, attempt, data, at)
    select r_run[x.r], v_seq[x.r] + x.k, v_ws[x.r], case x.status when 'running' then 'task.started' else 'task.' || x.status end,
      x.task, nullif(x.item, -1), x.attempt, x.data, v_now from x)
  select u.r, u.base, u.last_seq, u.intent, u.unseen, 'ok', case when v_bad is not null then array(select b from unnest(v_bad) b where t_r[b] = u.r) end from u;

  if cardinality(c_r) > 0 then -- a statement of its own: it sees the counters as this commit leaves them
    return query
    with u as (update run_state s set status = c.status, failure = c.failure, finished = v_now, last_seq = s.last_seq + 1
      from unnest(c_r, c_status, c_failure, c_output, c_ref, c_size) c(r, status, failure, output, ref, size)
      where v_ok[c.r] and s.run = r_run[c.r] and s.open = 0 and s.command_seq <= s.applied_seq
        and case when s.phase > 0 then c.status = s.decided else s.intent is null or c.status = case s.intent when 'timeout' then 'timed_out' when 'fail' then 'failed' else 'cancelled' end end
      returning c.r, c.status, c.failure, c.output, c.ref, c.size, s.run, s.workspace, s.last_seq, s.intent),
    e as (insert into run_event (run, seq, workspace, type, data, at) select u.run, u.last_seq, u.workspace, 'run.' || u.status, u.failure, v_now from u),
    o as (insert into run_output (run, workspace, output, output_ref, output_size)
      select u.run, u.workspace, u.output, u.ref, u.size from u where u.size is not null
      on conflict (run) do update set output = excluded.output, output_ref = excluded.output_ref, output_size = excluded.output_size)
    select u.r, null::bigint, u.last_seq, u.intent, false, 'closed', null::int[] from u;
  end if;
  if not v_all then
    return query select g.r::int, null::bigint, g.seq, null, null::boolean, case when g.seq is null and not p_wait then 'skipped' else 'refused' end, null::int[]
      from unnest(v_ok, v_seq) with ordinality g(ok, seq, r) where not g.ok;
  end if;
end $$;`;

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
  return v_seq;
end $$;`;
