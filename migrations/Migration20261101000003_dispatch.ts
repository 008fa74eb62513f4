import { Migration } from '@mikro-orm/migrations';

/** What starts, pokes and repairs runs: admission, pacing of pokes, closing by hand. */
export class Migration20261101000003_dispatch extends Migration {
  override name = 'Migration20261101000003_dispatch';

  override up(): void {
    this.addSql(columns);
    this.addSql(indexes);
    this.addSql(head);
    this.addSql(admission);
    this.addSql(closing);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const columns = `
alter table run_state add column poked_seq bigint not null default 0, add column poke_after timestamptz(3);`;

/** Of columns that no ordinary commit changes, so that commits stay heap-only. */
const indexes = `
create index run_state_started on run_state (run) where started is not null and finished is null;
create index run_state_intended on run_state (run) where intent is not null and finished is null;
create index wait_due on wait (until) where not closed and until is not null;
create index wait_decided on wait (run) where not closed and decision is not null;
create index wait_map on wait (run) where not closed and kind = 'map';
create index lease_run on lease (run) where run is not null;`;

/**
 * One claimer at a time: SKIP LOCKED alone lets concurrent claimers exceed a limit. Oldest first; a claim that expires
 * (its worker died, or Temporal was down) makes the run claimable again, which is harmless because starts are idempotent.
 */
const admission = `
create function admit_v1(p_worker uuid, p_n int, p_claim_ms int)
  returns table (run uuid, workspace uuid, definition text, title text, parent uuid, priority smallint, total int)
  language plpgsql set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(7306370816);
  return query
    with free as (
      select s.run from run_state s
      where s.started is null and s.finished is null and (s.owner_until is null or s.owner_until < clock_timestamp())
      order by s.run limit p_n for no key update skip locked
    ), claimed as (
      update run_state s set owner = p_worker, owner_until = clock_timestamp() + make_interval(secs => p_claim_ms / 1000.0)
      from free where s.run = free.run returning s.run, s.total
    )
    select r.run, c.workspace, c.definition, c.title, c.parent, c.priority, r.total
    from claimed r cross join lateral run_head_v1(r.run) c order by r.run;
end $$;`;

/** Titles of large plans are not worth reading the plan for. */
const head = `
create function run_head_v1(p_run uuid) returns table (workspace uuid, definition text, title text, parent uuid, priority smallint)
  language sql stable as $$
  select r.workspace, r.definition, coalesce(d.title, (select p.body->>'title' from plan p where p.hash = r.plan and d.name is null and pg_column_size(p.body) < 16384)),
    r.parent, r.priority
  from run r left join definition d on d.workspace = r.workspace and d.name = r.definition and d.number = r.definition_number
  where r.id = p_run $$;`;

/** The last resort: every open task and item is cancelled, then the run fails. Writers of the old epoch are refused from here on. */
const closing = `
create function close_by_hand_v1(p_run uuid, p_failure json) returns bigint language plpgsql set lock_timeout = '2s' as $$
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
    select l.task, l.item, l.generation, l.attempt from latest l where l.status not in ('completed', 'failed', 'skipped', 'blocked', 'timed_out', 'cancelled')
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
