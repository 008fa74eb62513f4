import { Migration } from '@mikro-orm/migrations';

/**
 * Notices of approvals: the first one when it opens, and its reminders, are rows until they are sent or given up. Of activities of
 * users it is known that no worker takes them, and they hold slots of limits.
 */
export class Migration20261129000032_control extends Migration {
  override name = 'Migration20261129000032_control';

  override up(): void {
    for (const statement of [notices, remind, claim, end, untaken, externals, sweep, items]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** number: of the reminder; 0: the approval has been opened. next_at: when it may be tried; while it is tried, when somebody else may. */
const notices = `
create table approval_notice (run uuid not null, task int not null, generation int not null, number int not null, workspace uuid not null,
  tries int not null default 0, next_at timestamptz(3) not null, primary key (run, task, generation, number));
create index approval_notice_due on approval_notice (next_at);
grant select, insert, update, delete on approval_notice to tiu_engine, tiu_api;
alter table approval_notice enable row level security;
create policy engine on approval_notice to tiu_engine using (true) with check (true);
create policy own_workspace on approval_notice to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);
create function open_notice_v1() returns trigger language plpgsql as $$
begin
  insert into approval_notice (run, task, generation, number, workspace, next_at) values (new.run, new.task, new.generation, 0, new.workspace, clock_timestamp());
  return null;
end $$;
create trigger wait_notice after insert on wait for each row when (new.kind = 'approval' and new.data->'notify' is not null) execute function open_notice_v1();`;

/** As remind_v1, but what is to be sent becomes a row. The channel is that of the reminders, or else that of the first notice. */
const remind = `
create function remind_v2(p_limit int) returns table (run uuid, channel text) language plpgsql volatile
set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare c record; w wait; s run_state; v_now timestamptz(3); v_times bigint[]; v_number int; v_channel text; begin
  for c in select x.run, x.task, x.item, x.generation, x.kind from wait x
    where x.remind_at <= clock_timestamp() and not x.closed and x.decision is null and (x.until is null or x.until > clock_timestamp())
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

/** What is due and still of use, for p_lease_ms nobody else's: whoever dies with it in hand leaves it to the next. What is of no use any more goes. */
const claim = `
create function claim_notices_v1(p_limit int, p_lease_ms int)
returns table (run uuid, workspace uuid, definition text, plan text, task int, generation int, since timestamptz, number int, tries int, data json) language plpgsql volatile
set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  delete from approval_notice n where (n.run, n.task, n.generation, n.number) in (select x.run, x.task, x.generation, x.number from approval_notice x
    where x.next_at <= clock_timestamp() and not exists (select from wait w join run_state s on s.run = w.run and s.finished is null
      where w.run = x.run and w.task = x.task and w.item = -1 and w.generation = x.generation and w.kind = 'approval' and not w.closed and w.decision is null
        and (w.until is null or w.until > clock_timestamp()))
    order by x.next_at limit 100 for update skip locked);
  return query
  with c as (update approval_notice n set tries = n.tries + 1, next_at = clock_timestamp() + p_lease_ms * interval '1 ms'
    where (n.run, n.task, n.generation, n.number) in (select x.run, x.task, x.generation, x.number from approval_notice x
      where x.next_at <= clock_timestamp() and exists (select from run_state s where s.run = x.run and s.finished is null and coalesce(stop_v1(s), 'pause') = 'pause')
      order by x.next_at limit p_limit for update skip locked)
    returning n.run, n.task, n.generation, n.number, n.tries)
  select c.run, r.workspace, r.definition, encode(r.plan, 'hex'), c.task, c.generation, w.since::timestamptz, c.number, c.tries, w.data
  from c join run r on r.id = c.run join wait w on w.run = c.run and w.task = c.task and w.item = -1 and w.generation = c.generation and w.kind = 'approval';
end $$;`;

/** How a try ended: it is tried again after p_retry_ms, or it is over, which the log of the run tells. Nothing for who was too slow: somebody else has it. */
const end = `
create function end_notice_v1(p_run uuid, p_task int, p_generation int, p_number int, p_tries int, p_retry_ms bigint, p_type text, p_data json)
returns boolean language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare s run_state; begin
  if p_retry_ms is not null then
    update approval_notice n set next_at = clock_timestamp() + p_retry_ms * interval '1 ms'
      where n.run = p_run and n.task = p_task and n.generation = p_generation and n.number = p_number and n.tries = p_tries;
    return found;
  end if;
  select * into s from run_state q where q.run = p_run for no key update;
  delete from approval_notice n where n.run = p_run and n.task = p_task and n.generation = p_generation and n.number = p_number and n.tries = p_tries;
  if not found then return false; end if;
  if s.finished is null and p_type is not null then
    insert into run_event (run, seq, workspace, type, task, data, at) values (p_run, s.last_seq + 1, s.workspace, p_type, p_task, p_data, clock_timestamp());
    update run_state q set last_seq = s.last_seq + 1 where q.run = p_run;
  end if;
  return true;
end $$;`;

/** untaken: of a wait for an activity of a user's, the task queue from which no worker has taken it for some seconds. */
const untaken = `alter table wait add column untaken text;`;

/**
 * As claim_v2 for the task of an activity of a user's, whose execution asks: it takes a slot and a token of each limit, or a place in the line
 * of the first that lacks (item -2: it asks again, nobody wakes it). The slots are its until it has ended, through its retries; null: it has them all.
 */
const externals = `
create function hold_external_v1(p_run uuid, p_task int, p_generation int, p_limits json) returns json language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare s run_state; t task; w wait; l record; b limit_bucket; v_now timestamptz(3); v_ahead bigint; v_own boolean; v_key text; v_ms double precision; begin
  select * into s from run_state q where q.run = p_run for no key update;
  select * into t from task k where k.run = p_run and k.task = p_task and k.item = -1 and k.generation = p_generation;
  select * into w from wait x where x.run = p_run and x.task = p_task and x.item = -2 and x.generation = p_generation and x.kind = 'limit' and not x.closed;
  for l in select * from json_to_recordset(p_limits) x(key text, concurrency int, rate int, "perMs" bigint) order by x.key collate "C" loop
    b := limit_bucket_v1(s.workspace, l.key, l.concurrency, l.rate, l."perMs");
    v_now := clock_timestamp();
    delete from lease x where x.workspace = s.workspace and x.key = l.key and (x.expires < v_now or x.run = p_run and x.task = p_task and x.item = -1 and x.holder <> t.token);
    v_own := exists (select from lease x where x.workspace = s.workspace and x.key = l.key and x.holder = t.token);
    continue when v_own; -- its execution was lost, and asks again
    select count(*) into v_ahead from wait x where x.workspace = s.workspace and x.limit_key = l.key and x.kind = 'limit' and not x.closed and (x.expires is null or x.expires > v_now)
      and (w.run is null or w.limit_key is distinct from l.key or (x.since, x.run, x.task, x.item) < (w.since, p_run, p_task, -2));
    if v_ahead >= l.concurrency - (select count(*) from lease x where x.workspace = s.workspace and x.key = l.key) then
      v_key := l.key; v_ms := null;
      exit;
    elsif v_ahead + 1 > b.tokens + 1e-6 and v_key is null then
      v_key := l.key; v_ms := (v_ahead + 1 - b.tokens) / l.rate * l."perMs";
    end if;
  end loop;
  if v_key is null then
    for l in select * from json_to_recordset(p_limits) x(key text, concurrency int, rate int, "perMs" bigint) order by x.key collate "C" loop
      continue when exists (select from lease x where x.workspace = s.workspace and x.key = l.key and x.holder = t.token);
      if l.rate is not null then update limit_bucket x set tokens = x.tokens - 1 where x.workspace = s.workspace and x.key = l.key; end if;
      if l.concurrency is not null then
        insert into lease (workspace, key, slot, holder, run, task, item, attempt, expires)
          select s.workspace, l.key, (select min(g) from generate_series(1, l.concurrency) g where not exists (select from lease x where x.workspace = s.workspace and x.key = l.key and x.slot = g)),
            t.token, p_run, p_task, -1, t.attempt, 'infinity';
      end if;
    end loop;
    update wait x set closed = true where x.run = p_run and x.task = p_task and x.item = -2 and x.generation = p_generation and x.kind = 'limit';
    return null;
  end if;
  insert into wait as x (run, task, item, generation, kind, workspace, limit_key, since, expires) values (p_run, p_task, -2, p_generation, 'limit', s.workspace, v_key, v_now, v_now + interval '30 s')
    on conflict (run, task, item, generation, kind) do update set limit_key = excluded.limit_key, expires = excluded.expires, closed = false, since = case when x.closed then excluded.since else x.since end;
  if w.limit_key <> v_key then -- it has left another line
    perform wake_line_v1(k) from limit_bucket k where k.workspace = s.workspace and k.key = w.limit_key;
  end if;
  return json_build_object('retryInMs', least(5000, greatest(200, coalesce(ceil(v_ms), 200 + 50 * v_ahead))));
end $$;
-- as end_external_v1, and its slots are free; returns the runs that were woken
create function end_external_v2(p_run uuid, p_task int, p_generation int) returns setof uuid language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare v_holders uuid[]; begin
  perform end_external_v1(p_run, p_task, p_generation);
  update wait x set closed = true where x.run = p_run and x.task = p_task and x.item = -2 and x.generation = p_generation and x.kind = 'limit' and not x.closed;
  v_holders := array(select distinct l.holder from lease l where l.run = p_run and l.task = p_task and l.item = -1);
  if v_holders <> '{}' then return query select free_leases_v1(v_holders); end if;
end $$;`;

/** As in Migration20261125000005_admission; an activity of a user's is at work while its task waits for it. */
const sweep = `
create or replace function sweep_limits_v1() returns setof uuid language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare b limit_bucket; begin
  update wait w set closed = true where w.kind = 'limit' and not w.closed and (w.expires < clock_timestamp() or not exists (select from run_state s where s.run = w.run and s.finished is null)
    or exists (select from task t where t.run = w.run and t.task = w.task and t.item = w.item and t.generation = w.generation and t.finished is not null));
  for b in select k.* from limit_bucket k where (k.workspace, k.key) in (
      select l.workspace, l.key from lease l where l.run is not null union select w.workspace, w.limit_key from wait w where not w.closed and w.kind = 'limit') order by k.workspace, k.key for update loop
    delete from lease l where l.workspace = b.workspace and l.key = b.key and (l.expires < clock_timestamp() or not exists (select from task t join run_state s on s.run = t.run
      where t.run = l.run and t.task = l.task and t.item = l.item and t.token = l.holder and s.finished is null and (t.status = 'running' or t.status = 'waiting' and exists (
        select from wait x where x.run = t.run and x.task = t.task and x.item = -1 and x.generation = t.generation and x.kind = 'external' and not x.closed))));
    return query select wake_line_v1(b);
  end loop;
  delete from limit_bucket k where k.used < clock_timestamp() - greatest(86400000, k.per_ms) * interval '1 ms'
    and not exists (select from lease l where l.workspace = k.workspace and l.key = k.key);
end $$;`;

/** As decide_items_v1, of many maps, in the order of their runs. */
const items = `
create function decide_items_v2(p_runs uuid[], p_tasks int[], p_generations int[], p_counts double precision[], p_percents double precision[]) returns void language plpgsql volatile set lock_timeout = '2s' as $$
declare m record; begin
  for m in select * from unnest(p_runs, p_tasks, p_generations, p_counts, p_percents) x(run, task, generation, n, percent) order by x.run, x.task loop
    perform decide_items_v1(m.run, m.task, m.generation, m.n, m.percent);
  end loop;
end $$;`;
