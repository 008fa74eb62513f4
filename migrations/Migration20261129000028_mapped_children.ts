import { Migration } from '@mikro-orm/migrations';

/**
 * A run for each item of a map: a wait of kind `child` for each, and one of kind `map` for all, without slices; its `parts` says how
 * many of the runs may be open at once. Nobody starts a run before the wait of the map is there.
 */
export class Migration20261129000028_mapped_children extends Migration {
  override name = 'Migration20261129000028_mapped_children';

  override up(): void {
    for (const statement of [ends, byHand, claims, settling, telling]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** As in Migration20261129000022_children and Migration20261101000002_execution, with the runs of items. */
const ends = `
create index wait_items on wait (run) where kind = 'child' and item >= 0 and child_ended and not closed;
-- The end of a run of an item decides nothing by itself: settle_items_v1 takes note of it, and of its failure
create or replace function child_ended_v1() returns trigger language plpgsql volatile as $$
declare v_run uuid; v_ws uuid; v_item int; begin
  update wait w set child_ended = true, decision = case when w.closed or w.item >= 0 then w.decision else coalesce(w.decision, new.status) end,
    failure = case when w.closed or new.status = 'completed' then w.failure else json_build_object('code', 'child_' || new.status,
      'message', 'The run ' || new.run || ' ' || case new.status when 'timed_out' then 'ran out of time' when 'cancelled' then 'was cancelled' else 'failed' end, 'data', json_build_object('run', new.run, 'failure', new.failure)) end
    where w.child = new.run and not w.child_ended returning w.run, w.workspace, w.item into v_run, v_ws, v_item;
  if found and v_item < 0 then
    insert into untold (run, workspace) values (v_run, v_ws) on conflict (run) do update set poke_after = null;
  end if;
  return null;
end $$;
-- A wait that ends before its run does; one that has none has seen the end of it
create function leave_children_v1(p_run uuid, p_task int, p_item int, p_generation int) returns void language sql volatile as $$
  update wait w set closed = true, child_ended = w.child_ended or w.child is null
    where w.run = p_run and w.task = p_task and w.item >= 0 and (p_item is null or w.item = p_item) and (p_generation is null or w.generation = p_generation) and w.kind = 'child' and not w.closed $$;
create or replace function end_items_v1(s run_state, p_task int, p_generation int, p_seq bigint, p_now timestamptz) returns bigint language plpgsql volatile as $$
declare v_n bigint; begin
  perform leave_children_v1(s.run, p_task, null, p_generation);
  with o as (select t.item, p_seq + row_number() over (order by t.item) as seq from task t
      where t.run = s.run and t.task = p_task and t.item >= 0 and t.generation = p_generation and t.finished is null),
    u as (update task t set status = 'cancelled', seq = o.seq, finished = p_now, token = null, next_at = null from o
      where t.run = s.run and t.task = p_task and t.item = o.item and t.generation = p_generation returning t.item, t.attempt, t.seq)
  insert into run_event (run, seq, workspace, type, task, item, attempt, at)
    select s.run, u.seq, s.workspace, 'task.cancelled', p_task, u.item, u.attempt, p_now from u;
  get diagnostics v_n = row_count;
  return p_seq + v_n;
end $$;`;

/** An item that is settled by hand waits for its run no longer. */
const byHand = `
alter function settle_task_v1(uuid, uuid, int, int, int, text, json, bytea, int, json, json, text, uuid) rename to settle_row_v1;
create function settle_task_v1(p_run uuid, p_ws uuid, p_task int, p_main int, p_item int, p_status text, p_output json, p_ref bytea, p_size int, p_payload json, p_data json, p_actor text, p_audit uuid)
returns bigint language plpgsql volatile set lock_timeout = '2s' as $$
declare v_seq bigint := settle_row_v1(p_run, p_ws, p_task, p_main, p_item, p_status, p_output, p_ref, p_size, p_payload, p_data, p_actor, p_audit); begin
  if v_seq > 0 and p_item >= 0 then perform leave_children_v1(p_run, p_task, p_item, null); end if;
  return v_seq;
end $$;`;

/** As claim_children_v1, with items. Whoever counts the open runs of a map holds its row, so that no two count at once. */
const claims = `
drop function claim_children_v1(int);
drop function decide_child_v1(uuid, int, int, json);
create function claim_children_v2(p_n int) returns table (run uuid, task int, item int, generation int, workspace uuid, child uuid, plan text, data json, input json, input_ref text, depth smallint, held text[], due double precision, priority smallint)
language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare m record; v_room int; v_runs uuid[] := '{}'; v_tasks int[] := '{}'; v_items int[] := '{}'; v_generations int[] := '{}'; begin
  update wait w set dispatched = false where w.kind = 'child' and not w.child_ended and w.dispatched and w.since < clock_timestamp() - interval '10 s' and not w.closed and w.decision is null
    and not exists (select from run r where r.id = w.child); -- whoever claimed it has died
  with c as (update wait w set dispatched = true, since = clock_timestamp(), child = coalesce(w.child, child_id_v1()) where (w.run, w.task, w.item, w.generation, w.kind) in (
      select x.run, x.task, x.item, x.generation, x.kind from wait x join run_state s on s.run = x.run and s.finished is null and coalesce(stop_v1(s), 'pause') = 'pause'
      where x.kind = 'child' and x.item < 0 and not x.child_ended and not x.closed and not x.dispatched and x.decision is null order by x.run limit p_n for update of x skip locked)
    returning w.run, w.task, w.item, w.generation)
  select coalesce(array_agg(c.run), '{}'), coalesce(array_agg(c.task), '{}'), coalesce(array_agg(c.item), '{}'), coalesce(array_agg(c.generation), '{}') into v_runs, v_tasks, v_items, v_generations from c;
  for m in select x.run, x.task, x.generation, x.parts from wait x join run_state s on s.run = x.run and s.finished is null and stop_v1(s) is null
      where x.kind = 'map' and not x.closed and x.decision is null and not x.task = any(coalesce(s.held, '{}'))
        and exists (select from wait w where w.run = x.run and w.task = x.task and w.item >= 0 and w.generation = x.generation and w.kind = 'child' and not w.child_ended and not w.dispatched and not w.closed)
        and x.parts > (select count(*) from wait w where w.run = x.run and w.task = x.task and w.item >= 0 and w.generation = x.generation and w.kind = 'child' and not w.child_ended and w.dispatched)
      order by x.run, x.task limit p_n for update of x skip locked loop
    select least(m.parts - count(*), p_n - cardinality(v_runs)) into v_room
      from wait w where w.run = m.run and w.task = m.task and w.item >= 0 and w.generation = m.generation and w.kind = 'child' and not w.child_ended and w.dispatched;
    continue when v_room <= 0;
    with c as (update wait w set dispatched = true, since = clock_timestamp(), child = coalesce(w.child, child_id_v1()) where (w.run, w.task, w.item, w.generation, w.kind) in (
        select x.run, x.task, x.item, x.generation, x.kind from wait x where x.run = m.run and x.task = m.task and x.item >= 0 and x.generation = m.generation and x.kind = 'child'
          and not x.child_ended and not x.closed and not x.dispatched order by x.item limit v_room for update skip locked)
      returning w.run, w.task, w.item, w.generation)
    select v_runs || coalesce(array_agg(c.run), '{}'), v_tasks || coalesce(array_agg(c.task), '{}'), v_items || coalesce(array_agg(c.item), '{}'), v_generations || coalesce(array_agg(c.generation), '{}')
      into v_runs, v_tasks, v_items, v_generations from c;
  end loop;
  return query
  select c.run, c.task, c.item, c.generation, w.workspace, w.child, encode(r.plan, 'hex'), w.data, t.output, encode(t.output_ref, 'hex'), r.depth,
    (with recursive a(id, parent) as (select r.id, r.parent union all select p.id, p.parent from a join run p on p.id = a.parent)
      select array_agg(q.ckey) from a join run q on q.id = a.id where q.ckey is not null),
    (select extract(epoch from least(s.deadline, d.until) - clock_timestamp()) * 1000 from run_state s left join wait d on d.run = c.run and d.task = c.task and d.item = -1
      and d.generation = c.generation and d.kind = 'deadline' and c.item >= 0 where s.run = c.run)::double precision, r.priority
  from unnest(v_runs, v_tasks, v_items, v_generations) c(run, task, item, generation)
    join wait w on w.run = c.run and w.task = c.task and w.item = c.item and w.generation = c.generation and w.kind = 'child'
    join run r on r.id = c.run join task t on t.run = c.run and t.task = c.task and t.item = c.item and t.generation = c.generation;
end $$;
create function decide_child_v2(p_run uuid, p_task int, p_item int, p_generation int, p_failure json) returns void language plpgsql volatile as $$
declare v_ws uuid; begin
  update wait w set decision = case when p_item < 0 then 'failed' end, failure = p_failure, child_ended = true
    where w.run = p_run and w.task = p_task and w.item = p_item and w.generation = p_generation and w.kind = 'child' and not w.closed and w.decision is null returning w.workspace into v_ws;
  if found and p_item < 0 then insert into untold (run, workspace) values (p_run, v_ws) on conflict (run) do update set poke_after = null; end if;
end $$;`;

/** Steps of the parent's log like any other: each locks its run, and no other. */
const settling = `
-- Items whose runs have ended, and those that will get none because their run stops: at most p_n runs. A run that waited still does
create function settle_items_v1(p_n int) returns setof uuid language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare s run_state; w wait; v_run uuid; v_stops boolean; v_now timestamptz(3); v_seq bigint; v_status text; begin
  for v_run in select x.run from (select distinct q.run from wait q where q.kind = 'child' and q.item >= 0 and q.child_ended and not q.closed
      union select q.run from run_state q where q.intent is not null and q.finished is null
        and exists (select from wait u where u.run = q.run and u.kind = 'child' and not u.child_ended and not u.dispatched and not u.closed and u.decision is null)) x order by x.run limit p_n loop
    select * into s from run_state q where q.run = v_run for no key update skip locked;
    continue when s.run is null;
    v_now := clock_timestamp(); v_seq := s.last_seq; v_stops := coalesce(stop_v1(s), 'pause') <> 'pause';
    for w in select * from wait x where x.run = v_run and x.kind = 'child' and not x.closed and x.decision is null
        and (x.item >= 0 and x.child_ended or v_stops and not x.child_ended and not x.dispatched and not exists (select from run r where r.id = x.child))
        order by x.task, x.item for update skip locked loop
      update wait x set child_ended = true, closed = w.item >= 0, decision = case when w.item < 0 then 'cancelled' end
        where x.run = w.run and x.task = w.task and x.item = w.item and x.generation = w.generation and x.kind = w.kind;
      if w.item < 0 then insert into untold (run, workspace) values (v_run, s.workspace) on conflict (run) do update set poke_after = null; end if;
      continue when w.item < 0 or s.finished is not null;
      v_status := case when not w.child_ended then 'cancelled' when w.failure is null then 'completed'
        else case w.failure->>'code' when 'child_cancelled' then 'cancelled' when 'child_timed_out' then 'timed_out' else 'failed' end end;
      update task t set status = v_status, seq = v_seq + 1, finished = v_now, token = null, failure = w.failure,
        output = case when v_status = 'completed' then (select o.output from run_output o where o.run = w.child) end,
        output_ref = case when v_status = 'completed' then (select o.output_ref from run_output o where o.run = w.child) end,
        output_size = case when v_status = 'completed' then (select o.output_size from run_output o where o.run = w.child) end
        where t.run = v_run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is null;
      continue when not found;
      v_seq := v_seq + 1;
      insert into run_event (run, seq, workspace, type, task, item, data, at) values (v_run, v_seq, s.workspace, 'task.' || v_status, w.task, w.item, w.failure, v_now);
    end loop;
    continue when v_seq = s.last_seq;
    if s.status = 'waiting' then -- nothing but waits is pending, as before
      v_seq := v_seq + 1;
      insert into run_event (run, seq, workspace, type, at) values (v_run, v_seq, s.workspace, 'run.waiting', v_now);
    end if;
    update run_state q set last_seq = v_seq where q.run = v_run;
    return next v_run;
  end loop;
end $$;
-- Maps of runs of which no item waits any more
create function settled_maps_v1(p_n int) returns table (run uuid, task int, generation int, plan text) language sql stable as $$
  select m.run, m.task, m.generation, encode(r.plan, 'hex') from wait m join run r on r.id = m.run where m.kind = 'map' and not m.closed and m.decision is null
    and exists (select from wait w where w.run = m.run and w.task = m.task and w.item >= 0 and w.generation = m.generation and w.kind = 'child')
    and not exists (select from wait w where w.run = m.run and w.task = m.task and w.item >= 0 and w.generation = m.generation and w.kind = 'child' and not w.closed)
  order by m.run, m.task limit p_n $$;
-- How such a map ends; the wait is settled at the next look into its run
create function decide_items_v1(p_run uuid, p_task int, p_generation int, p_count double precision, p_percent double precision) returns void language plpgsql volatile set lock_timeout = '2s' as $$
declare s run_state; v_items int; v_failed int; v_late boolean; v_status text; begin
  select * into s from run_state q where q.run = p_run for no key update;
  select count(*), count(*) filter (where t.status not in ('completed', 'skipped')) into v_items, v_failed
    from task t where t.run = p_run and t.task = p_task and t.item >= 0 and t.generation = p_generation;
  v_late := exists (select from wait d where d.run = p_run and d.task = p_task and d.item = -1 and d.generation = p_generation and d.kind = 'deadline' and d.until <= clock_timestamp());
  v_status := case when v_failed <= greatest(p_count, p_percent / 100 * v_items) then 'completed' when v_late then 'timed_out' when coalesce(stop_v1(s), 'pause') <> 'pause' then 'cancelled' else 'failed' end;
  update wait w set decision = v_status, failure = case when v_status = 'failed' then json_build_object('code', 'items_failed', 'message', v_failed || ' of ' || v_items || ' items failed') end
    where w.run = p_run and w.task = p_task and w.item = -1 and w.generation = p_generation and w.kind = 'map' and not w.closed and w.decision is null;
  if found then insert into untold (run, workspace) values (p_run, s.workspace) on conflict (run) do update set poke_after = null; end if;
end $$;`;

/** As in Migration20261129000022_children; a run that cleans up after a cancel has children of its own, which go on. */
const telling = `
create or replace function untold_children_v1(p_n int) returns table (parent uuid, child uuid, workspace uuid, what text) language sql stable as $$
  select w.run, w.child, w.workspace, case
      when w.closed or p.finished is not null or p.intent = 'force' then 'force' when coalesce(stop_v1(p), 'pause') <> 'pause' then 'cancel' when p.paused then 'pause' else 'resume' end
  from wait w join run_state p on p.run = w.run join run_state c on c.run = w.child and c.finished is null
  where w.kind = 'child' and not w.child_ended and w.child is not null and case
    when w.closed or p.finished is not null or p.intent = 'force' then c.intent is distinct from 'force'
    when coalesce(stop_v1(p), 'pause') <> 'pause' then c.intent is null and c.phase = 0
    when p.paused then not c.paused
    else c.paused and (select k.actor from command k where k.run = c.run and k.type in ('pause', 'resume') order by k.seq desc limit 1) = 'run:' || w.run end
  order by w.run limit p_n $$;`;
