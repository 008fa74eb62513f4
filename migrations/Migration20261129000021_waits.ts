import { Migration } from '@mikro-orm/migrations';

/**
 * Waits for events of a workspace and for decisions of people. An event that nobody waits for is kept for a time.
 */
export class Migration20261129000021_waits extends Migration {
  override name = 'Migration20261129000021_waits';

  override up(): void {
    for (const statement of [columns, journal, changes, events, approvals]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** event_name, event_key: of a wait for an event; data: what it says of itself; output: what it was given. */
const columns = `
alter table wait add column data json, add column output json, add column event_name text collate "C", add column event_key text collate "C";
create index wait_event on wait (workspace, event_name, event_key) where kind = 'event' and not closed and decision is null;
create index wait_approval on wait (workspace, since, run, task) where kind = 'approval' and not closed and decision is null;
create table event (workspace uuid not null, id text collate "C" not null, name text collate "C" not null, key text collate "C" not null, payload json, sent_by text not null,
  at timestamptz(3) not null, expires timestamptz(3) not null, taken timestamptz(3), primary key (workspace, id));
create index event_left on event (workspace, name, key, at) where taken is null;
create index event_expires on event (expires);
grant select, insert, update, delete on event to tiu_engine, tiu_api;
alter table event enable row level security;
create policy engine on event to tiu_engine using (true) with check (true);
create policy own_workspace on event to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;

/** As in Migration20261129000016_endings; waits for events and people are made of the data of their record. */
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
          case when w.kind in ('event', 'approval') then v_now end, case when w.kind in ('event', 'approval') then t_data[w.t] end,
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

/** As in Migration20261129000015_phases. */
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
    v_status := coalesce(w.decision, case when w.kind = 'deadline' then 'timed_out' when w.kind in ('event', 'approval') then coalesce(w.data->'onDeadline'->>'status', 'timed_out') else 'completed' end);
    v_failure := case when w.decision is not null then w.failure when w.kind in ('event', 'approval') then w.data->'onDeadline'->'failure' end;
    if v_status = 'timed_out' then v_failure := coalesce(v_failure, json_build_object('code', 'deadline_exceeded', 'message', 'The deadline has passed')); end if;
    update wait x set closed = true where x.run = p_run and x.task = w.task and x.item = w.item and x.generation = w.generation and (x.kind = w.kind or w.kind = 'deadline');
    if w.kind = 'deadline' and exists (select from task t where t.run = p_run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is null)
      then v_seq := end_items_v1(s, w.task, w.generation, v_seq, v_now); end if;
    update task t set status = v_status, seq = v_seq + 1, finished = v_now, token = null, next_at = null, failure = v_failure,
      output = case when w.kind = 'timer' then to_json(to_char(v_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
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

const events = `
create function store_event_v1(p_ws uuid, p_id text, p_name text, p_key text, p_payload json, p_actor text, p_audit uuid, p_days int)
returns table (outcome text, at timestamptz) language plpgsql volatile set lock_timeout = '2s' as $$
#variable_conflict use_column
declare v_now timestamptz(3) := clock_timestamp(); e event; begin
  insert into event (workspace, id, name, key, payload, sent_by, at, expires) values (p_ws, p_id, p_name, p_key, p_payload, p_actor, v_now, v_now + p_days * interval '1 day') on conflict do nothing;
  if found then
    insert into audit (id, workspace, actor, action, subject, data, at) values (p_audit, p_ws, p_actor, 'event.send', 'event:' || p_id, json_build_object('name', p_name, 'key', p_key), v_now);
    return query select 'new', v_now::timestamptz;
    return;
  end if;
  select * into e from event x where x.workspace = p_ws and x.id = p_id;
  return query select case when e.name = p_name and e.key = p_key and e.payload::text is not distinct from p_payload::text then 'same' else 'other' end, e.at::timestamptz;
end $$;
-- Gives an event that nobody has taken to all who wait for its name and key: p_fit, p_misfit are schemas of theirs that it was compared with.
-- Nobody's run is locked: a wait is decided, and whoever carries the run settles it at its next look.
create function match_event_v1(p_ws uuid, p_id text, p_fit text[], p_misfit text[]) returns setof uuid language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare e event; v_runs uuid[]; v_fit boolean; begin
  select * into e from event x where x.workspace = p_ws and x.id = p_id;
  if e.id is null then return; end if;
  perform pg_advisory_xact_lock(hashtextextended(e.workspace || ' ' || e.name || ' ' || e.key, 7306370817));
  perform 1 from event x where x.workspace = p_ws and x.id = p_id and x.taken is null and x.expires > clock_timestamp();
  if not found then return; end if;
  with w as (
    update wait x set decision = case when x.data->>'schema' = any(p_misfit) then 'failed' else 'completed' end,
      output = case when not coalesce(x.data->>'schema' = any(p_misfit), false) then e.payload end,
      failure = case when x.data->>'schema' = any(p_misfit) then json_build_object('code', 'event_mismatch', 'message', 'The event ' || e.id || ' does not match the schema') end
    where x.workspace = e.workspace and x.event_name = e.name and x.event_key = e.key and x.kind = 'event' and not x.closed and x.decision is null
      and (x.data->'schema' is null or x.data->>'schema' = any(p_fit) or x.data->>'schema' = any(p_misfit))
      and exists (select from run_state s where s.run = x.run and s.finished is null)
    returning x.run, x.decision)
  select array_agg(distinct w.run order by w.run), bool_or(w.decision = 'completed') into v_runs, v_fit from w;
  if v_runs is null then return; end if;
  if v_fit then update event x set taken = clock_timestamp() where x.workspace = p_ws and x.id = p_id; end if;
  insert into unseen (run, workspace, seq) select r, e.workspace, 0 from unnest(v_runs) r order by r on conflict (run) do update set poke_after = null;
  return query select unnest(v_runs);
end $$;`;

const approvals = `
-- Decides an approval once. -1: it has been, or there is none
create function decide_approval_v1(p_run uuid, p_ws uuid, p_task int, p_type text, p_status text, p_output json, p_failure json, p_payload json, p_data json, p_actor text, p_audit uuid)
returns bigint language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare s run_state; w wait; begin
  select * into s from run_state where run = p_run and workspace = p_ws for no key update;
  if s.run is null then return 0; end if;
  if s.finished is not null then return null; end if;
  select * into w from wait x where x.run = p_run and x.task = p_task and x.item = -1 and x.kind = 'approval' and not x.closed and x.decision is null
    and (x.until is null or x.until > clock_timestamp()) order by x.generation desc limit 1 for update;
  if w.run is null then return -1; end if;
  update wait x set decision = p_status, output = p_output, failure = p_failure where x.run = w.run and x.task = w.task and x.item = w.item and x.generation = w.generation and x.kind = w.kind;
  perform note_command_v1(s, p_type, p_task, p_payload, p_data, p_actor, p_audit, clock_timestamp());
  update run_state set last_seq = s.last_seq + 1, command_seq = s.last_seq + 1 where run = p_run;
  return s.last_seq + 1;
end $$;`;
