import { Migration } from '@mikro-orm/migrations';

/**
 * claim_v1 that knows phases and pauses, and says how many rounds of a loop are over: while a task is retrying, its branch counts them.
 */
export class Migration20261129000023_rounds extends Migration {
  override name = 'Migration20261129000023_rounds';

  override up(): void {
    for (const statement of [claim]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const claim = `
create or replace function claim_v1(p_run uuid, p_epoch int, p_task int, p_item int, p_generation int, p_token uuid, p_deadline_ms double precision)
returns json language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; t task; v_now timestamptz(3); v_wait timestamptz(3); begin
  select * into s from run_state where run = p_run for no key update;
  if s.run is null or s.finished is not null or (p_item < 0 and s.epoch <> p_epoch) then return json_build_object('stale', true); end if;
  if p_item >= 0 and not exists (select from wait w where w.run = p_run and w.task = p_task and w.item = -1 and w.generation = p_generation and w.kind = 'map' and not w.closed)
    then return json_build_object('stale', true); end if;
  select * into t from task k where k.run = p_run and k.task = p_task and k.item = p_item and k.generation = p_generation;
  if t.finished is not null then return json_build_object('final', json_build_array(t.task, t.status, t.seq, t.generation, coalesce(t.branch, 0)), 'intent', stop_v1(s), 'due', due_ms_v1(p_run)); end if;
  if stop_v1(s) is not null then return json_build_object('intent', stop_v1(s)); end if;
  if p_task = any(s.held) then return json_build_object('intent', 'pause'); end if;
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
  update run_state set last_seq = last_seq + 1, status = case when paused then 'paused' else 'running' end where run = p_run;
  return json_build_object('attempt', t.attempt, 'losses', t.losses, 'round', coalesce(t.branch, 0), 'remainingMs', extract(epoch from t.deadline - v_now) * 1000, 'seq', s.last_seq + 1);
end $$;`;
