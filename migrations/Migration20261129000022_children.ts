import { Migration } from '@mikro-orm/migrations';

/**
 * Runs that a task starts: the parent waits in PostgreSQL, and its execution knows nothing of them.
 */
export class Migration20261129000022_children extends Migration {
  override name = 'Migration20261129000022_children';

  override up(): void {
    for (const statement of [columns, ends, journal, changes, children]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** child: the run that is waited for; child_ended: it has ended, or there will be none. */
const columns = `
alter table wait add column child uuid, add column child_ended boolean not null default false;
create index wait_child on wait (child) where child is not null;
create index wait_children on wait (run) where kind = 'child' and not child_ended;
alter table run add column depth smallint not null default 0;
create index run_children on run (parent, id) where parent is not null;
-- whoever makes a run in the name of another one makes its child
create function adopt_child_v1() returns trigger language plpgsql volatile as $$
begin
  new.parent := substr(new.created_by, 5)::uuid;
  new.depth := 1 + coalesce((select p.depth from run p where p.id = new.parent), 0);
  return new;
end $$;
create trigger adopt_child before insert on run for each row when (new.created_by like 'run:%') execute function adopt_child_v1();`;

const ends = `
-- The end of a child decides the wait of its parent, which reads the output where it lies. No lock crosses runs.
create function child_ended_v1() returns trigger language plpgsql volatile as $$
declare v_run uuid; v_ws uuid; begin
  update wait w set child_ended = true, decision = case when w.closed then w.decision else coalesce(w.decision, new.status) end,
    failure = case when w.closed or new.status = 'completed' then w.failure else json_build_object('code', 'child_' || new.status,
      'message', 'The run ' || new.run || ' ' || case new.status when 'timed_out' then 'ran out of time' when 'cancelled' then 'was cancelled' else 'failed' end, 'data', json_build_object('run', new.run, 'failure', new.failure)) end
    where w.child = new.run and not w.child_ended returning w.run, w.workspace into v_run, v_ws;
  if found then
    insert into untold (run, workspace) values (v_run, v_ws) on conflict (run) do update set poke_after = null;
  end if;
  return null;
end $$;
create trigger child_ended after update of finished on run_state for each row when (old.finished is null and new.finished is not null) execute function child_ended_v1();`;

/** As in Migration20261128000014_items, with phases; waits for events, people and runs are made of the data of their record. */
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
      insert into wait (run, task, item, generation, kind, workspace, until, parts, since, data, event_name, event_key)
        select r_run[t_r[w.t]], t_task[w.t], t_item[w.t], t_gen[w.t], w.kind, v_ws[t_r[w.t]], coalesce(w.until::timestamptz, v_now + w.ms * interval '1 ms'), w.parts,
          case when w.kind in ('event', 'approval', 'child') then v_now end, case when w.kind in ('event', 'approval', 'child') then t_data[w.t] end,
          case when w.kind = 'event' then t_data[w.t]->>'name' end, case when w.kind = 'event' then t_data[w.t]->>'key' end
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

/** As in Migration20261125000011_turns, with the deadline of finally, what was settled by hand, and how those waits end. */
const changes = `
create or replace function read_changes_v2(p_run uuid, p_epoch int, p_since bigint, p_tasks int[]) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; w wait; v_status text; v_failure json; v_now timestamptz(3); v_fail int := 0; v_open int; v_seq bigint; begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null or s.epoch <> p_epoch or s.finished is not null then return json_build_object('stale', true); end if;
  v_now := clock_timestamp(); v_seq := s.last_seq; v_open := s.open;
  for w in select * from wait x where x.run = p_run and not x.closed and (x.until <= v_now or x.decision is not null) order by x.until nulls first, x.task, x.item, x.kind for update loop
    if w.kind = 'limit' then
      update wait x set decision = null, until = null, dispatched = true where x.run = p_run and x.task = w.task and x.item = w.item and x.generation = w.generation and x.kind = w.kind and not x.closed;
      continue when not found; -- a deadline before it in this loop has closed it
      update task t set status = 'pending', seq = v_seq + 1 where t.run = p_run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.status = 'waiting';
      if found then
        v_seq := v_seq + 1;
        insert into run_event (run, seq, workspace, type, task, data, at) values (p_run, v_seq, s.workspace, 'task.pending', w.task, json_build_object('limit', w.limit_key), v_now);
      end if;
      continue;
    end if;
    v_status := coalesce(w.decision, case when w.kind = 'deadline' then 'timed_out' when w.kind in ('event', 'approval', 'child') then coalesce(w.data->'onDeadline'->>'status', 'timed_out') else 'completed' end);
    v_failure := case when w.decision is not null then w.failure when w.kind in ('event', 'approval') then w.data->'onDeadline'->'failure' end;
    if v_status = 'timed_out' then v_failure := coalesce(v_failure, json_build_object('code', 'deadline_exceeded', 'message', 'The deadline has passed')); end if;
    update wait x set closed = true where x.run = p_run and x.task = w.task and x.item = w.item and x.generation = w.generation and (x.kind = w.kind or w.kind = 'deadline');
    if w.kind = 'deadline' and exists (select from task t where t.run = p_run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is null)
      then v_seq := end_items_v1(s, w.task, w.generation, v_seq, v_now); end if;
    update task t set status = v_status, seq = v_seq + 1, finished = v_now, token = null, next_at = null, failure = v_failure,
      output_ref = case when w.kind = 'child' and v_status = 'completed' then (select o.output_ref from run_output o where o.run = w.child) end,
      output_size = case when w.kind = 'child' and v_status = 'completed' then (select o.output_size from run_output o where o.run = w.child) end,
      output = case when w.kind = 'child' and v_status = 'completed' then (select o.output from run_output o where o.run = w.child) when w.kind = 'timer' then to_json(to_char(v_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
        when w.kind in ('event', 'approval') and v_status = 'completed' then case when w.decision is null then w.data->'onDeadline'->'output' else w.output end end
      where t.run = p_run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is null;
    if found then
      v_seq := v_seq + 1;
      if w.item = -1 then v_open := v_open - 1; v_fail := v_fail + (v_status in ('failed', 'timed_out'))::int; end if;
      insert into run_event (run, seq, workspace, type, task, item, data, at) values (p_run, v_seq, s.workspace, 'task.' || v_status, w.task, nullif(w.item, -1),
        coalesce(v_failure, case when w.kind in ('event', 'approval') and w.decision is null then json_build_object('onDeadline', coalesce(w.data->'onDeadline'->>'as', 'continue')) end), v_now);
    end if;
  end loop;
  if s.deadline <= v_now and s.phase = 0 and s.intent is null then s.intent := 'timeout';
  elsif s.deadline <= v_now and s.phase = 2 then s.intent := 'force'; end if; -- the time of finally is over
  update run_state set last_seq = v_seq, applied_seq = v_seq, open = v_open, failed = failed + v_fail, intent = s.intent,
    status = case when v_seq > s.last_seq and not paused then 'running' else status end where run = p_run;
  return json_build_object('cursor', v_seq, 'intent', stop_v1(s), 'phase', s.phase, 'held', s.held, 'due', due_ms_v1(p_run), 'rows',
    (select coalesce(json_agg(json_build_array(t.task, t.status, t.seq, t.generation, coalesce(t.branch, 0))), '[]') from task t
      where t.run = p_run and t.item = -1 and t.seq > p_since and (t.status = 'pending' or exists (select from wait x where x.run = p_run and x.task = t.task and x.item = -1 and x.generation = t.generation)
        or t.task = any(p_tasks) and t.finished is not null or exists (select from command c where c.run = p_run and c.task = t.task and c.seq > p_since))));
end $$;`;

const children = `
create function child_id_v1() returns uuid language sql volatile as
$$ select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(r, 1, 3) || '8' || substr(r, 4, 15))::uuid from (select replace(gen_random_uuid()::text, '-', '') as r) x $$;
-- Waits for children that nobody has started, each with the id that its run will have. held: concurrency keys of its ancestors
create function claim_children_v1(p_n int) returns table (run uuid, task int, generation int, workspace uuid, child uuid, plan text, data json, input json, input_ref text, depth smallint, held text[], due double precision, priority smallint)
language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  update wait w set dispatched = false where w.kind = 'child' and not w.child_ended and w.dispatched and w.since < clock_timestamp() - interval '10 s' and not w.closed and w.decision is null
    and not exists (select from run r where r.id = w.child); -- whoever claimed it has died
  return query
  with c as (update wait w set dispatched = true, child = coalesce(w.child, child_id_v1()) where (w.run, w.task, w.item, w.generation, w.kind) in (
      select x.run, x.task, x.item, x.generation, x.kind from wait x join run_state s on s.run = x.run and s.finished is null and s.intent is null
      where x.kind = 'child' and not x.child_ended and not x.closed and not x.dispatched and x.decision is null order by x.run limit p_n for update of x skip locked)
    returning w.run, w.task, w.generation, w.workspace, w.child, w.data)
  select c.run, c.task, c.generation, c.workspace, c.child, encode(r.plan, 'hex'), c.data, t.output, encode(t.output_ref, 'hex'), r.depth,
    (with recursive a(id, parent) as (select r.id, r.parent union all select p.id, p.parent from a join run p on p.id = a.parent)
      select array_agg(q.ckey) from a join run q on q.id = a.id where q.ckey is not null),
    (select extract(epoch from s.deadline - clock_timestamp()) * 1000 from run_state s where s.run = c.run)::double precision, r.priority
  from c join run r on r.id = c.run join task t on t.run = c.run and t.task = c.task and t.item = -1 and t.generation = c.generation;
end $$;
create function decide_child_v1(p_run uuid, p_task int, p_generation int, p_failure json) returns void language plpgsql volatile as $$
declare v_ws uuid; begin
  update wait w set decision = 'failed', failure = p_failure, child_ended = true where w.run = p_run and w.task = p_task and w.generation = p_generation and w.kind = 'child' and not w.closed and w.decision is null
    returning w.workspace into v_ws;
  if found then insert into untold (run, workspace) values (p_run, v_ws) on conflict (run) do update set poke_after = null; end if;
end $$;
-- Children that have not been told what their parent was: it ends, does not wait for them any more, pauses, goes on
create function untold_children_v1(p_n int) returns table (parent uuid, child uuid, workspace uuid, what text) language sql stable as $$
  select w.run, w.child, w.workspace, case
      when w.closed or p.finished is not null or p.intent = 'force' then 'force' when p.intent is not null then 'cancel' when p.paused then 'pause' else 'resume' end
  from wait w join run_state p on p.run = w.run join run_state c on c.run = w.child and c.finished is null
  where w.kind = 'child' and not w.child_ended and w.child is not null and case
    when w.closed or p.finished is not null or p.intent = 'force' then c.intent is distinct from 'force'
    when p.intent is not null then c.intent is null and c.phase = 0
    when p.paused then not c.paused
    else c.paused and (select k.actor from command k where k.run = c.run and k.type in ('pause', 'resume') order by k.seq desc limit 1) = 'run:' || w.run end
  order by w.run limit p_n $$;`;
