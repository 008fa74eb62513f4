import { Migration } from '@mikro-orm/migrations';

/**
 * What is looked for often is found by an index, however many runs are open: 10,000 that wait cost each look 10,000 entries, some
 * looks as many for each of them.
 */
export class Migration20261129000045_looks extends Migration {
  override name = 'Migration20261129000045_looks';

  override up(): void {
    for (const statement of [openOfWorkspace, endQueued, remind, claimUntold]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * Open runs of a workspace, to count them. Its predicate says `finished is null` in words that no other statement uses: to one that
 * asks for a single run and was planned while few were open, going through this index looked as cheap as the key.
 */
const openOfWorkspace = `
drop index run_state_open_of_workspace;
create index run_state_open_count on run_state (workspace) where coalesce(finished, 'infinity') = 'infinity';`;

/** As before, but for its time: what may change within a statement, as clock_timestamp() does, can be no bound of an index. */
const endQueued = `
create or replace function end_queued_v1(p_n int) returns table (run uuid) language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare s run_state; v_run uuid; v_now timestamptz(3); v_status text; v_n int; begin
  for v_run in select x.run from ((select q.run from run_state q where q.intent is not null and q.finished is null and q.started is null order by q.run limit p_n)
      union (select q.run from run_state q where q.started is null and q.finished is null and q.deadline is not null and q.deadline <= statement_timestamp() order by q.deadline limit p_n)) x order by 1 loop
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
end $$;`;

/** As before, but for its time. */
const remind = `
create or replace function remind_v2(p_limit int) returns table (run uuid, channel text) language plpgsql volatile
set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare c record; w wait; s run_state; v_now timestamptz(3); v_times bigint[]; v_number int; v_channel text; begin
  for c in select x.run, x.task, x.item, x.generation, x.kind from wait x
    where x.remind_at <= statement_timestamp() and not x.closed and x.decision is null and (x.until is null or x.until > clock_timestamp())
      and exists (select from run_state y where y.run = x.run and y.finished is null)
    order by x.remind_at limit p_limit loop
    select * into s from run_state y where y.run = c.run and y.finished is null for no key update skip locked;
    continue when s.run is null;
    v_now := clock_timestamp();
    select * into w from wait x where x.run = c.run and x.task = c.task and x.item = c.item and x.generation = c.generation and x.kind = c.kind
      and x.remind_at <= v_now and not x.closed and x.decision is null for update;
    continue when w.run is null; -- decided, or somebody else was faster
    v_times := array(select json_array_elements_text(w.data->'remind'->'atMs')::bigint);
    v_channel := coalesce(w.data->'remind'->>'channel', w.data->'notify'->>'channel');
    select count(*) into v_number from unnest(v_times) t(ms) where w.since + t.ms * interval '1 ms' <= v_now;
    update wait x set reminded = v_number, remind_at = w.since + v_times[v_number + 1] * interval '1 ms'
      where x.run = w.run and x.task = w.task and x.item = w.item and x.generation = w.generation and x.kind = w.kind;
    insert into run_event (run, seq, workspace, type, task, data, at) values (w.run, s.last_seq + 1, w.workspace, 'task.reminded', w.task,
      json_strip_nulls(json_build_object('number', v_number, 'of', cardinality(v_times), 'channel', v_channel)), v_now);
    update run_state y set last_seq = s.last_seq + 1 where y.run = w.run;
    if v_channel is not null then
      insert into approval_notice (run, task, generation, number, workspace, next_at) values (w.run, w.task, w.generation, v_number, w.workspace, v_now);
    end if;
    return query select w.run, v_channel;
  end loop;
end $$;`;

/** As before, but found from what is untold, not from all that is open. */
const claimUntold = `
create or replace function claim_untold_v1(p_n int) returns table (run uuid, total int, claim text) language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  delete from untold u where u.run in (select x.run from untold x cross join lateral (select s.finished from run_state s where s.run = x.run offset 0) s where s.finished is not null order by x.run limit 500);
  return query with u as (update untold u set poke_after = clock_timestamp() + interval '2 s' where u.run in (
      select x.run from untold x cross join lateral (select s.started, s.finished from run_state s where s.run = x.run offset 0) s
      where s.started is not null and s.finished is null and (x.poke_after is null or x.poke_after < clock_timestamp()) order by x.run limit p_n for no key update of x) returning u.run, u.poke_after)
    select u.run, s.total, u.poke_after::text from u join run_state s on s.run = u.run;
end $$;`;
