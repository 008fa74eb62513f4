import { Migration } from '@mikro-orm/migrations';

/**
 * What a failure and a pause do to a run. phase: its tasks settle (0), what was completed is undone (1), the tasks of finally
 * run (2); decided: how it ends, from the end of phase 0 on. paused, held: nothing, or none of these tasks, may begin.
 * untold: runs with something new that nobody has told them of; a row of its own, so that commits of runs need no index for it.
 */
export class Migration20261129000015_phases extends Migration {
  override name = 'Migration20261129000015_phases';

  override up(): void {
    for (const statement of [columns, reading, claims, sweep]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** stop_v1: why nothing new may begin. While a run cleans up, only `force` and a pause stop it. */
const columns = `
alter table run_state add column phase smallint not null default 0, add column decided text, add column paused boolean not null default false, add column held int[];
alter table command add column task int;
create table untold (run uuid primary key, workspace uuid not null, poke_after timestamptz(3));
grant select, insert, update, delete on untold to tiu_engine, tiu_api;
alter table untold enable row level security;
create policy engine on untold to tiu_engine using (true) with check (true);
create policy own_workspace on untold to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);
create function stop_v1(s run_state) returns text language sql immutable as
$$ select case when s.intent = 'force' or s.phase = 0 and s.intent is not null then s.intent when s.paused then 'pause' end $$;`;

/** As in Migration20261101000002_execution, with phase, pause and what was opened again. */
const reading = `
create or replace function due_ms_v1(p_run uuid) returns double precision language sql volatile as $$
  select case when d is not null then greatest(0, extract(epoch from d - clock_timestamp()) * 1000) end -- greatest(0, null) would be 0
  from (select least((select min(case when w.decision is null then w.until else clock_timestamp() end) from wait w where w.run = p_run and not w.closed),
    (select s.deadline from run_state s where s.run = p_run and (s.phase = 0 and s.intent is null or s.phase = 2 and s.intent is distinct from 'force'))) d) x $$;
create or replace function load_run_v1(p_run uuid) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_first boolean; v_now timestamptz(3); begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null then return json_build_object('closed', 'unknown'); end if;
  if s.finished is not null then return json_build_object('closed', s.status, 'reason', s.reason, 'failure', s.failure); end if;
  if s.started is null and s.epoch > 0 then return json_build_object('closed', 'unknown'); end if; -- opened again: admission begins it
  v_first := s.started is null; v_now := clock_timestamp();
  update run_state set epoch = epoch + 1, seg_open = 0, status = case when paused then 'paused' else 'running' end, started = coalesce(started, v_now),
    applied_seq = last_seq + v_first::int, last_seq = last_seq + v_first::int where run = p_run;
  if v_first then insert into run_event (run, seq, workspace, type, at) values (p_run, s.last_seq + 1, s.workspace, 'run.started', v_now); end if;
  return json_build_object('epoch', s.epoch + 1, 'cursor', s.last_seq + v_first::int, 'intent', stop_v1(s), 'phase', s.phase, 'held', s.held, 'due', due_ms_v1(p_run), 'rows', task_rows_v1(p_run, null));
end $$;
create or replace function load_owner_v1(p_run uuid, p_epoch int, p_tasks int[]) returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; begin
  perform set_config('synchronous_commit', 'off', true);
  update run_state set seg_open = seg_open + 1 where run = p_run and epoch = p_epoch and finished is null returning * into s;
  if s.run is null then return json_build_object('stale', true); end if;
  return json_build_object('seq', s.last_seq, 'intent', stop_v1(s), 'phase', s.phase, 'held', s.held, 'due', due_ms_v1(p_run), 'careful', s.seg_open > 1, 'rows', task_rows_v1(p_run, p_tasks));
end $$;
create or replace function mark_waiting_v1(p_run uuid, p_epoch int) returns void language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_until timestamptz(3); begin
  update run_state set status = 'waiting', last_seq = last_seq + 1 where run = p_run and epoch = p_epoch and status = 'running' and finished is null and (intent is null or phase > 0 and intent <> 'force') returning * into s;
  if s.run is null then return; end if;
  select min(w.until) into v_until from wait w where w.run = p_run and not w.closed;
  insert into run_event (run, seq, workspace, type, data, at) values (p_run, s.last_seq, s.workspace, 'run.waiting',
    case when v_until is not null then json_build_object('until', to_char(v_until at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) end, clock_timestamp());
end $$;
create or replace function load_slice_v1(p_run uuid, p_task int, p_generation int, p_k int) returns json language plpgsql volatile as $$
declare x slice; begin
  select * into x from slice c where c.run = p_run and c.task = p_task and c.generation = p_generation and c.k = p_k;
  if x.run is null or x.done or not exists (select from wait w join run_state s on s.run = w.run where w.run = p_run and w.task = p_task and w.item = -1
    and w.generation = p_generation and w.kind = 'map' and not w.closed and w.decision is null and s.finished is null and coalesce(stop_v1(s), 'pause') = 'pause') then return json_build_object('over', true); end if;
  if exists (select from run_state s where s.run = p_run and (s.paused or p_task = any(s.held))) then return json_build_object('paused', true); end if;
  return json_build_object('left', (select coalesce(json_agg(i order by i), '[]') from generate_series(x.lo, x.hi - 1) i
      where not exists (select from task t where t.run = p_run and t.task = p_task and t.item = i and t.generation = p_generation and t.finished is not null)),
    'slices', (select count(*) from slice c where c.run = p_run and c.task = p_task and c.generation = p_generation));
end $$;`;

const claims = `
create or replace function claim_v2(p_run uuid, p_epoch int, p_task int, p_item int, p_generation int, p_token uuid, p_deadline_ms double precision, p_limits json, p_lease_ms int)
returns json language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare s run_state; t task; w wait; l record; b limit_bucket; v_now timestamptz(3); v_ahead bigint; v_own boolean; v_key text; v_ms double precision; v_until timestamptz(3); v_claim json; v_deadline timestamptz(3); begin
  select * into s from run_state where run = p_run for no key update;
  select * into t from task k where k.run = p_run and k.task = p_task and k.item = p_item and k.generation = p_generation;
  v_now := clock_timestamp();
  if s.run is null or s.finished is not null or stop_v1(s) is not null or p_task = any(s.held) or (p_item < 0 and s.epoch <> p_epoch) or t.finished is not null
    or t.status = 'retrying' and t.next_at > v_now + interval '20 ms'
    or p_item >= 0 and not exists (select from wait x where x.run = p_run and x.task = p_task and x.item = -1 and x.generation = p_generation and x.kind = 'map' and not x.closed)
    then return claim_v1(p_run, p_epoch, p_task, p_item, p_generation, p_token, p_deadline_ms); end if;
  select * into w from wait x where x.run = p_run and x.task = p_task and x.item = p_item and x.generation = p_generation and x.kind = 'limit' and not x.closed;
  for l in select * from json_to_recordset(p_limits) x(key text, concurrency int, rate int, "perMs" bigint) order by x.key collate "C" loop
    b := limit_bucket_v1(s.workspace, l.key, l.concurrency, l.rate, l."perMs");
    v_now := clock_timestamp();
    delete from lease x where x.workspace = s.workspace and x.key = l.key and x.expires < v_now;
    delete from lease x where x.workspace = s.workspace and x.key = l.key and x.run = p_run and x.task = p_task and x.item = p_item;
    v_own := found; -- an attempt of this task that is gone: the next takes its slot
    select count(*) into v_ahead from wait x where x.workspace = s.workspace and x.limit_key = l.key and x.kind = 'limit' and not x.closed and (x.expires is null or x.expires > v_now)
      and (w.run is null or w.limit_key is distinct from l.key or (x.since, x.run, x.task, x.item) < (w.since, p_run, p_task, p_item));
    if not v_own and v_ahead >= l.concurrency - (select count(*) from lease x where x.workspace = s.workspace and x.key = l.key) then
      v_key := l.key; v_ms := null;
      exit;
    elsif v_ahead + 1 > b.tokens + 1e-6 and v_key is null then
      v_key := l.key; v_ms := (v_ahead + 1 - b.tokens) / l.rate * l."perMs";
    end if;
  end loop;
  if v_key is null then
    v_claim := claim_v1(p_run, p_epoch, p_task, p_item, p_generation, p_token, p_deadline_ms);
    for l in select * from json_to_recordset(p_limits) x(key text, concurrency int, rate int, "perMs" bigint) order by x.key collate "C" loop
      if l.rate is not null then update limit_bucket x set tokens = x.tokens - 1 where x.workspace = s.workspace and x.key = l.key; end if;
      if l.concurrency is not null then
        insert into lease (workspace, key, slot, holder, run, task, item, attempt, expires)
          select s.workspace, l.key, (select min(g) from generate_series(1, l.concurrency) g where not exists (select from lease x where x.workspace = s.workspace and x.key = l.key and x.slot = g)),
            p_token, p_run, p_task, p_item, (v_claim->>'attempt')::int, v_now + p_lease_ms * interval '1 ms';
      end if;
    end loop;
    update wait x set closed = true where x.run = p_run and x.task = p_task and x.item = p_item and x.generation = p_generation and x.kind = 'limit';
    return v_claim;
  end if;
  v_until := v_now + v_ms * interval '1 ms';
  insert into wait as x (run, task, item, generation, kind, workspace, until, limit_key, since, expires)
    values (p_run, p_task, p_item, p_generation, 'limit', s.workspace, case when p_item < 0 then v_until end, v_key, v_now, case when p_item >= 0 then v_now + interval '30 s' end)
    on conflict (run, task, item, generation, kind) do update set until = excluded.until, limit_key = excluded.limit_key, expires = excluded.expires, decision = null,
      dispatched = false, closed = false, since = case when x.closed then excluded.since else x.since end;
  if w.limit_key <> v_key then -- it has left another line
    perform wake_line_v1(k) from limit_bucket k where k.workspace = s.workspace and k.key = w.limit_key;
  end if;
  if p_item >= 0 then return json_build_object('retryInMs', least(5000, coalesce(ceil(v_ms), 100 + 25 * v_ahead)), 'limit', v_key); end if;
  if p_deadline_ms is not null and t.deadline is null then
    v_deadline := v_now + make_interval(secs => p_deadline_ms / 1000);
    insert into wait (run, task, item, generation, kind, workspace, until) values (p_run, p_task, p_item, p_generation, 'deadline', s.workspace, v_deadline) on conflict do nothing;
  end if;
  insert into task (run, task, item, generation, workspace, status, seq, started, deadline) values (p_run, p_task, p_item, p_generation, s.workspace, 'waiting', s.last_seq + 1, v_now, v_deadline)
    on conflict (run, task, item, generation) do update set status = 'waiting', token = null, next_at = null, seq = excluded.seq, losses = task.losses + (task.status = 'running')::int,
      deadline = coalesce(task.deadline, excluded.deadline) returning * into t;
  insert into run_event (run, seq, workspace, type, task, data, at) values (p_run, t.seq, s.workspace, 'task.waiting', p_task,
    json_strip_nulls(json_build_object('limit', v_key, 'until', to_char(v_until at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))), v_now);
  update run_state set last_seq = t.seq where run = p_run;
  return json_build_object('waiting', json_build_array(p_task, 'waiting', t.seq, p_generation, 0, t.attempt, t.losses), 'due', due_ms_v1(p_run));
end $$;`;

/** As in Migration20261101000002_execution; what a run was asked is what stop_v1 says. */
const sweep = `
create or replace function sweep_v1(p_run uuid, p_epoch int, p_tasks int[], p_intent text) returns json language plpgsql volatile set lock_timeout = '2s' as $$
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
  return json_build_object('intent', stop_v1(s), 'due', due_ms_v1(p_run), 'rows', task_rows_v1(p_run, p_tasks));
end $$;`;
