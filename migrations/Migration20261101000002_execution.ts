import { Migration } from '@mikro-orm/migrations';

/** What the engine asks of a run besides commits. Every function locks run_state first, so each is one step of the run's log. */
export class Migration20261101000002_execution extends Migration {
  override name = 'Migration20261101000002_execution';

  override up(): void {
    for (const statement of [due, load, claim, items, changes, sweep, waiting, slices]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** Time to the next wait or deadline of a run by the database's clock, ms; null: none. Decided waits are due now. */
const due = `
create function due_ms_v1(p_run uuid) returns double precision language sql volatile as $$
  select case when d is not null then greatest(0, extract(epoch from d - clock_timestamp()) * 1000) end -- greatest(0, null) would be 0
  from (select least((select min(case when w.decision is null then w.until else clock_timestamp() end) from wait w where w.run = p_run and not w.closed),
    (select s.deadline from run_state s where s.run = p_run and s.intent is null)) d) x $$;
-- [task, status, seq, generation, branch, attempt, losses] of the newest generation of each task asked for; null: of all
create function task_rows_v1(p_run uuid, p_tasks int[]) returns json language sql volatile as $$
  select coalesce(json_agg(json_build_array(t.task, t.status, t.seq, t.generation, coalesce(t.branch, 0), t.attempt, t.losses)), '[]')
  from (select distinct on (task) * from task where run = p_run and item = -1 and (p_tasks is null or task = any(p_tasks)) order by task, generation desc) t $$;`;

const load = `
-- Begins an execution: raises the epoch, which fences every earlier one.
create function load_run_v1(p_run uuid) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_first boolean; v_now timestamptz(3); begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null then return json_build_object('closed', 'unknown'); end if;
  if s.finished is not null then return json_build_object('closed', s.status, 'reason', s.reason, 'failure', s.failure); end if;
  v_first := s.started is null; v_now := clock_timestamp();
  update run_state set epoch = epoch + 1, seg_open = 0, status = 'running', started = coalesce(started, v_now),
    applied_seq = last_seq + v_first::int, last_seq = last_seq + v_first::int where run = p_run;
  if v_first then insert into run_event (run, seq, workspace, type, at) values (p_run, s.last_seq + 1, s.workspace, 'run.started', v_now); end if;
  return json_build_object('epoch', s.epoch + 1, 'cursor', s.last_seq + v_first::int, 'intent', s.intent, 'due', due_ms_v1(p_run), 'rows', task_rows_v1(p_run, null));
end $$;
-- What an owner of tasks needs. seg_open counts loads since the last commit: above 1 a worker died in between. That mark costs no sync.
create function load_owner_v1(p_run uuid, p_epoch int, p_tasks int[]) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; begin
  perform set_config('synchronous_commit', 'off', true);
  update run_state set seg_open = seg_open + 1 where run = p_run and epoch = p_epoch and finished is null returning * into s;
  if s.run is null then return json_build_object('stale', true); end if;
  return json_build_object('seq', s.last_seq, 'intent', s.intent, 'due', due_ms_v1(p_run), 'careful', s.seg_open > 1, 'rows', task_rows_v1(p_run, p_tasks));
end $$;`;

/** Attempt number and token of an effect come from here, never from Temporal, whose numbers restart. */
const claim = `
create function claim_v1(p_run uuid, p_epoch int, p_task int, p_item int, p_generation int, p_token uuid, p_deadline_ms double precision)
returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; t task; v_now timestamptz(3); v_wait timestamptz(3); begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null or s.finished is not null or (p_item < 0 and s.epoch <> p_epoch) then return json_build_object('stale', true); end if;
  if p_item >= 0 and not exists (select from wait w where w.run = p_run and w.task = p_task and w.item = -1 and w.generation = p_generation and w.kind = 'map' and not w.closed)
    then return json_build_object('stale', true); end if;
  select * into t from task k where k.run = p_run and k.task = p_task and k.item = p_item and k.generation = p_generation;
  if t.finished is not null then return json_build_object('final', json_build_array(t.task, t.status, t.seq, t.generation, coalesce(t.branch, 0)), 'intent', s.intent, 'due', due_ms_v1(p_run)); end if;
  if s.intent is not null then return json_build_object('intent', s.intent); end if;
  v_now := clock_timestamp();
  if t.status = 'retrying' and t.next_at > v_now + interval '20 ms' then return json_build_object('retryInMs', ceil(extract(epoch from t.next_at - v_now) * 1000)); end if;
  if p_deadline_ms is not null and t.deadline is null then v_wait := v_now + make_interval(secs => p_deadline_ms / 1000); end if;
  insert into task (run, task, item, generation, workspace, status, attempt, token, seq, started, deadline)
    values (p_run, p_task, p_item, p_generation, s.workspace, 'running', 1, p_token, s.last_seq + 1, v_now, v_wait)
    on conflict (run, task, item, generation) do update set status = 'running', attempt = task.attempt + 1,
      losses = task.losses + (task.status = 'running')::int, token = p_token, seq = s.last_seq + 1, next_at = null, deadline = coalesce(task.deadline, excluded.deadline)
    returning * into t;
  if v_wait is not null then insert into wait (run, task, item, generation, kind, workspace, until) values (p_run, p_task, p_item, p_generation, 'deadline', s.workspace, v_wait) on conflict do nothing; end if;
  insert into run_event (run, seq, workspace, type, task, item, attempt, at) values (p_run, s.last_seq + 1, s.workspace, 'task.started', p_task, nullif(p_item, -1), t.attempt, v_now);
  update run_state set last_seq = last_seq + 1, status = 'running' where run = p_run;
  return json_build_object('attempt', t.attempt, 'losses', t.losses, 'remainingMs', extract(epoch from t.deadline - v_now) * 1000, 'seq', s.last_seq + 1);
end $$;`;

/** A map that ends before its items have takes those at work with it: their attempts lose their token, so they stop and write nothing. */
const items = `
create function end_items_v1(s run_state, p_task int, p_generation int, p_seq bigint, p_now timestamptz) returns bigint language plpgsql volatile as $$
declare v_n bigint; begin
  with o as (select t.item, p_seq + row_number() over (order by t.item) as seq from task t
      where t.run = s.run and t.task = p_task and t.item >= 0 and t.generation = p_generation and t.finished is null),
    u as (update task t set status = 'cancelled', seq = o.seq, finished = p_now, token = null, next_at = null from o
      where t.run = s.run and t.task = p_task and t.item = o.item and t.generation = p_generation returning t.item, t.attempt, t.seq)
  insert into run_event (run, seq, workspace, type, task, item, attempt, at)
    select s.run, u.seq, s.workspace, 'task.cancelled', p_task, u.item, u.attempt, p_now from u;
  get diagnostics v_n = row_count;
  return p_seq + v_n;
end $$;`;

/** The workflow's eyes: settles waits that are due or decided, and returns what no owner reports: tasks that waited or were reset. */
const changes = `
create function read_changes_v1(p_run uuid, p_epoch int, p_since bigint) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; w wait; v_status text; v_failure json; v_now timestamptz(3); v_fail int := 0; v_open int; v_seq bigint; begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null or s.epoch <> p_epoch or s.finished is not null then return json_build_object('stale', true); end if;
  v_now := clock_timestamp(); v_seq := s.last_seq; v_open := s.open;
  for w in select * from wait x where x.run = p_run and not x.closed and (x.until <= v_now or x.decision is not null) order by x.until nulls first, x.task, x.item, x.kind for update loop
    v_status := coalesce(w.decision, case w.kind when 'deadline' then 'timed_out' else 'completed' end);
    v_failure := coalesce(w.failure, case when w.kind = 'deadline' then json_build_object('code', 'deadline_exceeded', 'message', 'The deadline has passed') end);
    update wait x set closed = true where x.run = p_run and x.task = w.task and x.item = w.item and x.generation = w.generation and (x.kind = w.kind or w.kind = 'deadline');
    if w.kind = 'deadline' and exists (select from task t where t.run = p_run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is null)
      then v_seq := end_items_v1(s, w.task, w.generation, v_seq, v_now); end if;
    update task t set status = v_status, seq = v_seq + 1, finished = v_now, token = null, next_at = null, failure = v_failure,
      output = case when w.kind = 'timer' then to_json(to_char(v_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) end
      where t.run = p_run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is null;
    if found then
      v_seq := v_seq + 1;
      if w.item = -1 then v_open := v_open - 1; v_fail := v_fail + (v_status in ('failed', 'timed_out'))::int; end if;
      insert into run_event (run, seq, workspace, type, task, item, data, at) values (p_run, v_seq, s.workspace, 'task.' || v_status, w.task, nullif(w.item, -1), v_failure, v_now);
    end if;
  end loop;
  if s.deadline <= v_now and s.intent is null then s.intent := 'timeout'; end if;
  update run_state set last_seq = v_seq, applied_seq = v_seq, open = v_open, failed = failed + v_fail, intent = s.intent,
    status = case when v_seq > s.last_seq then 'running' else status end where run = p_run;
  return json_build_object('cursor', v_seq, 'intent', s.intent, 'due', due_ms_v1(p_run), 'rows',
    (select coalesce(json_agg(json_build_array(t.task, t.status, t.seq, t.generation, coalesce(t.branch, 0))), '[]') from task t
      where t.run = p_run and t.item = -1 and t.seq > p_since and (t.status = 'pending' or exists (select from wait x where x.run = p_run and x.task = t.task and x.item = -1 and x.generation = t.generation))));
end $$;`;

/** Cancels tasks that nobody is at work on (forced: all), closes their waits, and records why if no command did. */
const sweep = `
create function sweep_v1(p_run uuid, p_epoch int, p_tasks int[], p_intent text) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_task int; v_generation int; v_now timestamptz(3); v_seq bigint; v_done int := 0; begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null or s.epoch <> p_epoch or s.finished is not null then return json_build_object('stale', true); end if;
  v_now := clock_timestamp(); v_seq := s.last_seq;
  foreach v_task in array p_tasks loop
    v_generation := coalesce((select max(t.generation) from task t where t.run = p_run and t.task = v_task and t.item = -1), 0);
    v_seq := end_items_v1(s, v_task, v_generation, v_seq, v_now);
    insert into task as t (run, task, item, generation, workspace, status, seq, started, finished) values (p_run, v_task, -1, v_generation, s.workspace, 'cancelled', v_seq + 1, v_now, v_now)
      on conflict (run, task, item, generation) do update set status = 'cancelled', seq = v_seq + 1, finished = v_now, token = null, next_at = null where t.finished is null;
    if found then
      v_seq := v_seq + 1; v_done := v_done + 1;
      insert into run_event (run, seq, workspace, type, task, at) values (p_run, v_seq, s.workspace, 'task.cancelled', v_task, v_now);
      update wait w set closed = true where w.run = p_run and w.task = v_task and not w.closed;
    end if;
  end loop;
  s.intent := coalesce(s.intent, p_intent);
  update run_state set last_seq = v_seq, open = open - v_done, intent = s.intent where run = p_run;
  return json_build_object('intent', s.intent, 'due', due_ms_v1(p_run), 'rows', task_rows_v1(p_run, p_tasks));
end $$;`;

const waiting = `
-- Nothing but waits is pending; said once, until something happens.
create function mark_waiting_v1(p_run uuid, p_epoch int) returns void language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_until timestamptz(3); begin
  update run_state set status = 'waiting', last_seq = last_seq + 1 where run = p_run and epoch = p_epoch and status = 'running' and finished is null and intent is null returning * into s;
  if s.run is null then return; end if;
  select min(w.until) into v_until from wait w where w.run = p_run and not w.closed;
  insert into run_event (run, seq, workspace, type, data, at) values (p_run, s.last_seq, s.workspace, 'run.waiting',
    case when v_until is not null then json_build_object('until', to_char(v_until at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) end, clock_timestamp());
end $$;`;

/** Slices of a wide map, each an execution of its own. They report by rows; the parent settles the wait at its next read. */
const slices = `
create function load_slice_v1(p_run uuid, p_task int, p_generation int, p_k int) returns json language plpgsql volatile as $$
declare x slice; begin
  select * into x from slice c where c.run = p_run and c.task = p_task and c.generation = p_generation and c.k = p_k;
  if x.run is null or x.done or not exists (select from wait w join run_state s on s.run = w.run where w.run = p_run and w.task = p_task and w.item = -1
    and w.generation = p_generation and w.kind = 'map' and not w.closed and w.decision is null and s.finished is null and s.intent is null) then return json_build_object('over', true); end if;
  return json_build_object('left', (select coalesce(json_agg(i order by i), '[]') from generate_series(x.lo, x.hi - 1) i
      where not exists (select from task t where t.run = p_run and t.task = p_task and t.item = i and t.generation = p_generation and t.finished is not null)),
    'slices', (select count(*) from slice c where c.run = p_run and c.task = p_task and c.generation = p_generation));
end $$;
-- true: it was the last one, and the wait of the map is decided
create function finish_slice_v1(p_run uuid, p_task int, p_generation int, p_k int, p_count double precision, p_percent double precision) returns boolean language plpgsql volatile set lock_timeout = '2s' as $$
declare v_items int; v_failed int; begin
  perform 1 from run_state s where s.run = p_run for no key update;
  update slice set done = true where run = p_run and task = p_task and generation = p_generation and k = p_k;
  if exists (select from slice where run = p_run and task = p_task and generation = p_generation and not done) then return false; end if;
  select max(hi) into v_items from slice where run = p_run and task = p_task and generation = p_generation;
  select count(*) into v_failed from task where run = p_run and task = p_task and item >= 0 and generation = p_generation and status not in ('completed', 'skipped');
  update wait set decision = case when v_failed <= greatest(p_count, p_percent / 100 * v_items) then 'completed' else 'failed' end,
    failure = case when v_failed > greatest(p_count, p_percent / 100 * v_items) then json_build_object('code', 'items_failed', 'message', v_failed || ' of ' || v_items || ' items failed') end
    where run = p_run and task = p_task and item = -1 and generation = p_generation and kind = 'map' and not closed and decision is null;
  return found;
end $$;`;
