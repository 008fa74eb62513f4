import { Migration } from '@mikro-orm/migrations';

/**
 * Activities of users: a task waits in PostgreSQL for an execution of its own in Temporal, which calls one. That execution
 * records what it came to in the task's row, like an effect, so an output is held from the moment it is stored.
 */
export class Migration20261129000026_external extends Migration {
  override name = 'Migration20261129000026_external';

  override up(): void {
    for (const statement of [columns, externals]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** asked_at, starts: when and how often its execution was asked for; told_at: when it was last asked to end. child_ended: as of children. */
const columns = `
alter table wait add column asked_at timestamptz(3), add column starts smallint not null default 0, add column told_at timestamptz(3);
create index wait_externals on wait (run) where kind = 'external' and not child_ended;`;

const externals = `
-- waits for activities that have no execution
create function claim_externals_v1(p_n int) returns table (run uuid, task int, generation int, plan text)
language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  return query
  with c as (update wait w set dispatched = true, told_at = null, asked_at = clock_timestamp(), starts = least(w.starts + 1, 30000) where (w.run, w.task, w.item, w.generation, w.kind) in (
      select x.run, x.task, x.item, x.generation, x.kind from wait x join run_state s on s.run = x.run and s.finished is null and coalesce(stop_v1(s), 'pause') = 'pause'
      where x.kind = 'external' and not x.child_ended and not x.closed and not x.dispatched and x.decision is null order by x.run limit p_n for update of x skip locked)
    returning w.run, w.task, w.generation)
  select c.run, c.task, c.generation, encode(r.plan, 'hex') from c join run r on r.id = c.run;
end $$;
-- those that are to end: nobody waits for them any more (not open), or their run stops. Each again after 10 s, until it has ended
create function claim_untold_externals_v1(p_n int) returns table (run uuid, task int, generation int, dispatched boolean, open boolean)
language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  return query update wait w set told_at = clock_timestamp() where (w.run, w.task, w.item, w.generation, w.kind) in (
      select x.run, x.task, x.item, x.generation, x.kind from wait x join run_state s on s.run = x.run
      where x.kind = 'external' and not x.child_ended and (x.told_at is null or x.told_at < clock_timestamp() - interval '10 s')
        and (x.closed or s.finished is not null or stop_v1(s) <> 'pause') order by x.run limit p_n for update of x skip locked)
    returning w.run, w.task, w.generation, w.dispatched, not w.closed;
end $$;
-- the end of one that has no execution to record it
create function decide_external_v1(p_run uuid, p_task int, p_generation int, p_status text, p_failure json) returns boolean language sql volatile as $$
  with w as (update wait x set decision = p_status, failure = p_failure, child_ended = true
      where x.run = p_run and x.task = p_task and x.item = -1 and x.generation = p_generation and x.kind = 'external' and not x.closed and x.decision is null returning x.run, x.workspace),
    u as (insert into untold (run, workspace) select w.run, w.workspace from w on conflict (run) do update set poke_after = null)
  select exists (select from w) $$;
-- its end is in the task's row, or nobody waits for it: its waits are over, and the run is told
create function end_external_v1(p_run uuid, p_task int, p_generation int) returns void language sql volatile as $$
  with w as (update wait x set closed = true, child_ended = true
      where x.run = p_run and x.task = p_task and x.item = -1 and x.generation = p_generation and x.kind in ('external', 'deadline') and not x.child_ended returning x.run, x.workspace)
  insert into untold (run, workspace) select distinct w.run, w.workspace from w on conflict (run) do update set poke_after = null $$;`;
