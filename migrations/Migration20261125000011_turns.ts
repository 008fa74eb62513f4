import { Migration } from '@mikro-orm/migrations';

/** read_changes_v2 as it was, and the turn of who waited for a limit: the task is pending again and keeps its place in the line until its claim. */
export class Migration20261125000011_turns extends Migration {
  override name = 'Migration20261125000011_turns';

  override up(): void {
    this.addSql(changes);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

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
      where t.run = p_run and t.item = -1 and t.seq > p_since and (t.status = 'pending' or exists (select from wait x where x.run = p_run and x.task = t.task and x.item = -1 and x.generation = t.generation)
        or t.task = any(p_tasks) and t.finished is not null)));
end $$;`;
