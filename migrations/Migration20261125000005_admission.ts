import { Migration } from '@mikro-orm/migrations';

/**
 * Which queued run starts next, and which task may begin its attempt: concurrency keys of runs, limits of tasks. Whatever is
 * counted is open runs and lease rows, never a counter, so nothing leaks.
 */
export class Migration20261125000005_admission extends Migration {
  override name = 'Migration20261125000005_admission';

  override up(): void {
    this.addSql(columns);
    this.addSql(backfill);
    this.addSql(indexes);
    for (const statement of [enqueue, conflicts, select, ended, buckets, waking, claim, freeing]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const plans = `set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s'`;

/**
 * rank: when a run became due, plus what a minute of waiting is worth for each level of priority. Sorting by it is
 * priority aged by waiting time, and it never changes, so an index holds the order. Of a wait for a limit: key of the
 * limit, since when it stands in the line, and until when an item, which asks again by itself, is believed to.
 */
const columns = `
alter table run add column if not exists ckey text, add column if not exists climit int, add column if not exists conflict text;
alter table run_state add column if not exists not_before timestamptz(3), add column rank timestamptz(3) not null default now(),
  add column ckey text collate "C", add column climit int;
alter table wait add column limit_key text collate "C", add column since timestamptz(3), add column expires timestamptz(3);
create table queue_cursor (workspace uuid primary key, after uuid, key text collate "C");
create table limit_bucket (workspace uuid not null, key text collate "C" not null, slots int, rate int, per_ms bigint, tokens double precision,
  filled_ms double precision, used timestamptz(3) not null, primary key (workspace, key));
grant select, insert, update, delete on queue_cursor, limit_bucket to tiu_engine, tiu_api;
do $$ declare t text; begin
  foreach t in array array['queue_cursor', 'limit_bucket'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy engine on %I to tiu_engine using (true) with check (true)', t);
    execute format('create policy own_workspace on %I to tiu_api using (workspace = current_setting(''tiu.workspace'')::uuid) with check (workspace = current_setting(''tiu.workspace'')::uuid)', t);
  end loop;
end $$;`;

const backfill = `
update run_state s set rank = r.created + r.priority * interval '1 minute' from run r where r.id = s.run and s.started is null and s.finished is null;`;

/** Their predicates hold no column that an ordinary commit changes, so commits stay heap-only. */
const indexes = `
create index run_state_keyless on run_state (workspace, rank, run) where started is null and finished is null and ckey is null;
create index run_state_keyed on run_state (workspace, ckey, rank, run) where started is null and finished is null and ckey is not null;
create index run_state_holders on run_state (workspace, ckey, run) where started is not null and finished is null and ckey is not null;
create index run_state_overdue on run_state (deadline) where started is null and finished is null and deadline is not null;
create index if not exists run_state_owner on run_state (owner) where finished is null and started is not null;
create index wait_line on wait (workspace, limit_key, since, run, task, item) where not closed and kind = 'limit';`;

/** Whoever makes a run gives it its place in the queue: what does not know of it cannot forget it. */
const enqueue = `
create function enqueue_run_v1() returns trigger language plpgsql volatile as $$
declare v_created timestamptz; v_priority int; v_key text; v_limit int; v_conflict text; v_age int := coalesce(nullif(current_setting('tiu.priority_age', true), '')::int, 60000); begin
  select r.created, r.priority, r.ckey, r.climit, r.conflict into v_created, v_priority, v_key, v_limit, v_conflict from run r where r.id = new.run;
  if not found then return new; end if;
  new.rank := greatest(v_created, new.not_before) + v_priority * v_age * interval '1 ms';
  if v_key is null then return new; end if;
  new.ckey := v_key; new.climit := coalesce(v_limit, 1);
  if v_conflict in ('reject', 'cancelOlder') then perform conflict_v1(new.run, new.workspace, v_key, new.climit, v_conflict); end if;
  return new;
end $$;
create trigger enqueue_run before insert on run_state for each row execute function enqueue_run_v1();`;

/**
 * Decided under a lock of the key, which is held until the submit commits: of two submits the second sees the first.
 * TU409: refused; the caller's statement is gone with it.
 */
const conflicts = `
create function conflict_v1(p_run uuid, p_ws uuid, p_key text, p_limit int, p_conflict text) returns void language plpgsql volatile ${plans} as $$
declare v_old uuid[]; v_run uuid; v_why text := 'a newer run has the same concurrency key'; begin
  perform pg_advisory_xact_lock(hashtextextended(p_ws || p_key, 7306370816));
  -- a statement of its own: its snapshot is newer than the lock
  select array_agg(x.run order by x.run) into v_old from (
    select s.run, s.intent from run_state s where s.workspace = p_ws and s.ckey = p_key and s.ckey is not null and s.started is null and s.finished is null
    union all select s.run, s.intent from run_state s where s.workspace = p_ws and s.ckey = p_key and s.ckey is not null and s.started is not null and s.finished is null) x
  where p_conflict = 'reject' or x.intent is null;
  if p_conflict = 'reject' then
    if cardinality(v_old) >= p_limit then
      raise exception using errcode = 'TU409', message = 'concurrency limit',
        detail = json_build_object('run', p_run, 'key', p_key, 'limit', p_limit, 'holders', to_json(v_old[1:10]))::text;
    end if;
    return;
  end if;
  if coalesce(cardinality(v_old), 0) < p_limit then return; end if;
  foreach v_run in array v_old[1:cardinality(v_old) - p_limit + 1] loop
    perform command_v1(v_run, p_ws, 'cancel', json_build_object('reason', v_why, 'force', false, 'newer', p_run), json_build_object('reason', v_why, 'by', 'tiu', 'newer', p_run),
      v_why, 'tiu', gen_random_uuid(), false);
  end loop;
end $$;`;

/**
 * Which queued runs may start, in order; the caller holds the lock that serialises admission. Workspaces take turns, from the
 * one after the last that was served; inside one, by rank, a run with a concurrency key only while fewer than its limit are
 * open. Walks over heads of groups (a workspace, a key), never over the runs behind them, and remembers where a walk that
 * was cut short ended.
 */
const select = `
create or replace function select_runs_v1(p_n int) returns table (run uuid) language plpgsql volatile ${plans} as $$
#variable_conflict use_column
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000'; max_workspaces constant int := greatest(8, least(32, p_n)); max_keys constant int := 64;
  v_now timestamptz := clock_timestamp(); v_first uuid; v_at uuid; v_ws uuid; v_list uuid[] := '{}'; v_wrapped boolean := false; v_each int; v_keys int;
  v_from text; v_after text; v_to text; v_probes int; v_seen int := 0; h record;
  v_i int[] := '{}'; v_runs uuid[] := '{}'; v_ranks timestamptz[] := '{}'; v_picked uuid[]; v_last int;
begin
  v_first := coalesce((select c.after from queue_cursor c where c.workspace = nobody), nobody);
  v_at := v_first;
  loop
    v_ws := least(
      (select s.workspace from run_state s where s.started is null and s.finished is null and s.ckey is null and s.workspace > v_at order by s.workspace, s.rank, s.run limit 1),
      (select s.workspace from run_state s where s.started is null and s.finished is null and s.ckey is not null and s.workspace > v_at order by s.workspace, s.ckey, s.rank, s.run limit 1));
    if v_ws is null then
      exit when v_wrapped;
      v_wrapped := true; v_at := nobody;
      continue;
    end if;
    exit when v_wrapped and v_ws > v_first;
    v_list := v_list || v_ws; v_at := v_ws;
    exit when cardinality(v_list) >= max_workspaces;
  end loop;
  if cardinality(v_list) = 0 then return; end if;
  v_each := least(p_n, greatest(4, 4 * p_n / cardinality(v_list)));
  v_keys := greatest(4, max_keys / cardinality(v_list));

  for i in 1 .. cardinality(v_list) loop
    v_ws := v_list[i];
    v_from := coalesce((select c.key from queue_cursor c where c.workspace = v_ws), '');
    v_after := v_from; v_to := null; v_probes := 0;
    loop
      for h in
        with recursive k(key, n) as (
          (select s.ckey, 1 from run_state s where s.started is null and s.finished is null and s.ckey is not null and s.workspace = v_ws and s.ckey > v_after order by s.ckey, s.rank, s.run limit 1)
          union all
          select (select s.ckey from run_state s where s.started is null and s.finished is null and s.ckey is not null and s.workspace = v_ws and s.ckey > k.key order by s.ckey, s.rank, s.run limit 1), k.n + 1
            from k where k.key is not null and (v_to is null or k.key <= v_to) and k.n + v_probes < v_keys)
        select k.key, k.n, x.run, x.rank from k left join lateral (
          select y.run, y.rank, y.climit, row_number() over (order by y.rank, y.run) + (
              select count(*) from run_state o where o.workspace = v_ws and o.ckey = k.key and o.ckey is not null and o.started is not null and o.finished is null) as place
          from (select s.run, s.rank, s.climit from run_state s where s.started is null and s.finished is null and s.ckey is not null and s.workspace = v_ws and s.ckey = k.key
              and s.rank <= v_now + interval '1 hour' and s.intent is null and (s.not_before is null or s.not_before <= v_now) order by s.rank, s.run limit v_each) y) x on x.place <= x.climit
        where k.key is not null and (v_to is null or k.key <= v_to)
      loop
        v_after := h.key; v_seen := h.n;
        if h.run is not null then v_i := v_i || i; v_runs := v_runs || h.run; v_ranks := v_ranks || h.rank::timestamptz; end if;
      end loop;
      v_probes := v_probes + coalesce(v_seen, 0);
      exit when v_from = '' or v_probes >= v_keys;
      v_to := v_from; v_from := ''; v_after := ''; v_seen := 0; -- once around
    end loop;
    if v_probes >= v_keys then
      insert into queue_cursor as c (workspace, key) values (v_ws, v_after) on conflict (workspace) do update set key = excluded.key;
    end if;
    v_seen := 0;
  end loop;

  with c as (
    select w.i::int as i, x.run, x.rank from unnest(v_list) with ordinality w(ws, i) cross join lateral (
      select s.run, s.rank from run_state s where s.started is null and s.finished is null and s.ckey is null and s.workspace = w.ws
        and s.rank <= v_now + interval '1 hour' and s.intent is null and (s.not_before is null or s.not_before <= v_now) order by s.rank, s.run limit v_each) x
    union all select k.i, k.run, k.rank from unnest(v_i, v_runs, v_ranks) k(i, run, rank)),
  o as (select c.run, c.i, row_number() over (partition by c.i order by c.rank, c.run) as turn from c),
  t as (select o.run, o.i, o.turn from o order by o.turn, o.i limit p_n)
  select array_agg(t.run order by t.turn, t.i), (array_agg(t.i order by t.turn desc, t.i desc))[1] into v_picked, v_last from t;
  v_at := case when v_last is not null then v_list[v_last] when cardinality(v_list) >= max_workspaces then v_list[cardinality(v_list)] end;
  if v_at <> v_first and cardinality(v_list) > 1 then
    insert into queue_cursor as c (workspace, after) values (nobody, v_at) on conflict (workspace) do update set after = excluded.after;
  end if;
  return query select s.run from unnest(v_picked) with ordinality p(run, i) join run_state s on s.run = p.run
    where s.started is null and s.finished is null order by p.i for no key update of s skip locked;
end $$;`;

/** Closes runs that were cancelled, or whose deadline passed, before anybody began them: nothing of them has to be undone. */
const ended = `
create function end_queued_v1(p_n int) returns table (run uuid) language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare s run_state; v_run uuid; v_now timestamptz(3); v_status text; v_n int; begin
  for v_run in select x.run from ((select q.run from run_state q where q.intent is not null and q.finished is null and q.started is null order by q.run limit p_n)
      union (select q.run from run_state q where q.started is null and q.finished is null and q.deadline is not null and q.deadline <= clock_timestamp() order by q.deadline limit p_n)) x order by 1 loop
    select * into s from run_state q where q.run = v_run and q.started is null and q.finished is null for no key update skip locked;
    continue when s.run is null;
    v_now := clock_timestamp();
    v_status := case when coalesce(s.intent, 'timeout') = 'timeout' then 'timed_out' else 'cancelled' end;
    insert into task (run, task, item, generation, workspace, status, seq, finished)
      select s.run, g, -1, 0, s.workspace, 'cancelled', s.last_seq + 1 + g, v_now from generate_series(0, s.total - 1) g;
    insert into run_event (run, seq, workspace, type, task, at)
      select s.run, s.last_seq + 1 + g, s.workspace, 'task.cancelled', g, v_now from generate_series(0, s.total - 1) g;
    v_n := s.last_seq + s.total + 1;
    insert into run_event (run, seq, workspace, type, at) values (s.run, v_n, s.workspace, 'run.' || v_status, v_now);
    update run_state q set status = v_status, intent = coalesce(q.intent, 'timeout'), finished = v_now, open = 0, epoch = q.epoch + 1, last_seq = v_n, applied_seq = v_n
      where q.run = s.run;
    run := s.run;
    return next;
  end loop;
end $$;`;

/** The row of a limit is its lock, its bucket of tokens and what is known of it. Buckets before waits, buckets by key: no deadlock. */
const buckets = `
create function limit_bucket_v1(p_ws uuid, p_key text, p_slots int, p_rate int, p_per_ms bigint) returns limit_bucket language plpgsql volatile as $$
declare b limit_bucket; v_ms double precision; begin
  insert into limit_bucket as l (workspace, key, slots, rate, per_ms, tokens, filled_ms, used) values (p_ws, p_key, p_slots, p_rate, p_per_ms, p_rate, 0, clock_timestamp())
    on conflict (workspace, key) do update set slots = excluded.slots, rate = excluded.rate, per_ms = excluded.per_ms, used = excluded.used returning * into b;
  v_ms := extract(epoch from clock_timestamp()) * 1000; -- after the lock
  if p_rate is not null then
    b.tokens := least(p_rate, coalesce(b.tokens, p_rate) + greatest(0, v_ms - coalesce(b.filled_ms, 0)) / p_per_ms * p_rate);
    b.filled_ms := v_ms;
    update limit_bucket l set tokens = b.tokens, filled_ms = b.filled_ms where l.workspace = p_ws and l.key = p_key;
  end if;
  return b;
end $$;`;

/** Tells the first in line that there is room, as many as there is room for. The caller holds the row of the limit. */
const waking = `
create function wake_line_v1(b limit_bucket) returns setof uuid language plpgsql volatile as $$
declare v_free int; begin
  if b.slots is null then return; end if;
  v_free := b.slots - (select count(*) from lease l where l.workspace = b.workspace and l.key = b.key)
    - (select count(*) from wait w where w.workspace = b.workspace and w.limit_key = b.key and w.kind = 'limit' and not w.closed and w.item = -1 and (w.decision is not null or w.dispatched));
  if v_free <= 0 then return; end if;
  return query update wait w set decision = 'granted' where (w.run, w.task, w.item, w.generation, w.kind) in (
      select x.run, x.task, x.item, x.generation, x.kind from wait x where x.workspace = b.workspace and x.limit_key = b.key and x.kind = 'limit' and not x.closed
        and x.item = -1 and x.decision is null and not x.dispatched order by x.since, x.run, x.task limit v_free)
    returning w.run;
end $$;`;

/**
 * claim_v1 for a task with limits: [{ key, concurrency, rate, perMs }], by key. All or nothing: it takes a slot and a token of
 * each, or stands in the line of the first that lacks. Nobody overtakes who stands there. A task then waits until it is woken; an item is asked for again.
 */
const claim = `
create function claim_v2(p_run uuid, p_epoch int, p_task int, p_item int, p_generation int, p_token uuid, p_deadline_ms double precision, p_limits json, p_lease_ms int)
returns json language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare s run_state; t task; w wait; l record; b limit_bucket; v_now timestamptz(3); v_ahead bigint; v_own boolean; v_key text; v_ms double precision; v_until timestamptz(3); v_claim json; v_deadline timestamptz(3); begin
  select * into s from run_state where run = p_run for no key update;
  select * into t from task k where k.run = p_run and k.task = p_task and k.item = p_item and k.generation = p_generation;
  v_now := clock_timestamp();
  if s.run is null or s.finished is not null or s.intent is not null or (p_item < 0 and s.epoch <> p_epoch) or t.finished is not null
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

const freeing = `
-- the slots of these attempts are free; returns the runs that were woken
create function free_leases_v1(p_holders uuid[]) returns setof uuid language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare b limit_bucket; begin
  for b in select k.* from limit_bucket k where (k.workspace, k.key) in (select l.workspace, l.key from lease l where l.holder = any(p_holders)) order by k.workspace, k.key for update loop
    delete from lease l where l.workspace = b.workspace and l.key = b.key and l.holder = any(p_holders);
    return query select wake_line_v1(b);
  end loop;
end $$;
create index lease_holder on lease (holder);
-- what no process said: leases of attempts that are over, places in line that nobody stands in, room that nobody was told of
create function sweep_limits_v1() returns setof uuid language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare b limit_bucket; begin
  update wait w set closed = true where w.kind = 'limit' and not w.closed and (w.expires < clock_timestamp() or not exists (select from run_state s where s.run = w.run and s.finished is null)
    or exists (select from task t where t.run = w.run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is not null));
  for b in select k.* from limit_bucket k where (k.workspace, k.key) in (
      select l.workspace, l.key from lease l where l.run is not null union select w.workspace, w.limit_key from wait w where not w.closed and w.kind = 'limit') order by k.workspace, k.key for update loop
    delete from lease l where l.workspace = b.workspace and l.key = b.key and (l.expires < clock_timestamp() or not exists (select from task t join run_state s on s.run = t.run
      where t.run = l.run and t.task = l.task and t.item = l.item and t.token = l.holder and t.status = 'running' and s.finished is null));
    return query select wake_line_v1(b);
  end loop;
  delete from limit_bucket k where k.used < clock_timestamp() - greatest(86400000, k.per_ms) * interval '1 ms'
    and not exists (select from lease l where l.workspace = k.workspace and l.key = k.key);
end $$;`;
