import { Migration } from '@mikro-orm/migrations';

/**
 * journal_commit_v1 that refuses the items of a task that has ended: the start of an item, on its way while its map is
 * cancelled, stayed `running` in a closed run.
 */
export class Migration20261128000014_items extends Migration {
  override name = 'Migration20261128000014_items';

  override up(): void {
    this.addSql(journalCommit);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const plans = `set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s'`;

/** As in Migration20261101000001_journal, which says what the parameters and the answer are. */
const journalCommit = `
create or replace function journal_commit_v1(
  p_wait boolean, r_run uuid[], r_epoch int[], r_applied bigint[],
  t_r int[], t_k int[], t_task int[], t_item int[], t_gen int[], t_attempt int[], t_token uuid[], t_status text[], t_branch int[],
  t_output json[], t_ref bytea[], t_size int[], t_failure json[], t_data json[], t_deadline bigint[], t_next bigint[], t_lost int[],
  w_t int[], w_kind text[], w_ms bigint[], w_until text[], w_parts int[], s_t int[], s_k int[], s_lo int[], s_hi int[],
  c_r int[], c_status text[], c_failure json[], c_output json[], c_ref bytea[], c_size int[])
returns table (r int, base bigint, seq bigint, intent text, unseen boolean, outcome text, refused int[]) language plpgsql volatile ${plans} as $$
#variable_conflict use_column
declare
  v_now timestamptz(3); v_runs int := cardinality(r_run); v_sent int := cardinality(t_r); v_written int; v_all boolean;
  v_at int[]; v_ok boolean[]; v_seq bigint[]; v_ws uuid[]; v_k int[] := t_k; v_bad int[];
begin
  if p_wait then -- one busy run, alone: at most lock_timeout
    perform 1 from run_state s where s.run = any(r_run) order by s.run for no key update;
  end if;
  select array_agg(l.r), array_agg(l.ok), array_agg(l.last_seq), array_agg(l.workspace), bool_and(l.ok) into v_at, v_ok, v_seq, v_ws, v_all
  from (select i.r::int as r, s.finished is null and (i.epoch = 0 or i.epoch = s.epoch) as ok, s.last_seq, s.workspace
    from unnest(r_run, r_epoch) with ordinality i(run, epoch, r) join run_state s on s.run = i.run
    order by s.run for no key update of s skip locked) l;
  v_now := clock_timestamp(); -- after the lock: times follow seq
  if v_at is null or cardinality(v_at) < v_runs then -- spread what was locked over the positions of r_run
    v_all := false;
    select array_agg(coalesce(a.ok, false) order by g), array_agg(a.seq order by g), array_agg(a.ws order by g) into v_ok, v_seq, v_ws
    from generate_series(1, v_runs) g left join unnest(v_at, v_ok, v_seq, v_ws) a(r, ok, seq, ws) on a.r = g;
  end if;

  if v_sent > 0 then
    insert into task as k (run, task, item, generation, workspace, status, branch, attempt, losses, token, seq, output, output_ref, output_size, failure,
        started, finished, next_at, deadline)
      select r_run[t.r], t.task, t.item, t.gen, v_ws[t.r], t.status, t.branch, t.attempt, coalesce(t.lost, 0), t.token, v_seq[t.r] + t.k, t.output, t.ref, t.size, t.failure,
        case when t.status not in ('skipped', 'blocked', 'cancelled') then v_now end, case when t.status not in ('running', 'waiting', 'retrying') then v_now end,
        v_now + t.next * interval '1 ms', v_now + t.deadline * interval '1 ms'
      from unnest(t_r, t_k, t_task, t_item, t_gen, t_attempt, t_token, t_status, t_branch, t_output, t_ref, t_size, t_failure, t_deadline, t_next, t_lost)
        t(r, k, task, item, gen, attempt, token, status, branch, output, ref, size, failure, deadline, next, lost)
      where v_ok[t.r] and (t.item = -1 or not exists (select from task m where m.run = r_run[t.r] and m.task = t.task and m.item = -1 and m.generation = t.gen and m.finished is not null))
    on conflict (run, task, item, generation) do update
      set status = excluded.status, branch = excluded.branch, attempt = excluded.attempt, losses = k.losses + excluded.losses, token = excluded.token, seq = excluded.seq,
        output = excluded.output, output_ref = excluded.output_ref, output_size = excluded.output_size, failure = excluded.failure,
        started = coalesce(k.started, excluded.started), finished = excluded.finished, next_at = excluded.next_at, deadline = coalesce(k.deadline, excluded.deadline)
      where k.finished is null and (excluded.attempt > k.attempt or excluded.attempt = k.attempt and excluded.token = k.token);
    get diagnostics v_written = row_count;
    if not v_all then select count(*) into v_sent from unnest(t_r) t(r) where v_ok[t.r]; end if;
    if v_written < v_sent then -- rows that belong to somebody else, and items of a task that has ended, are those that this transaction did not write
      select array_agg(t.i::int) into v_bad
      from unnest(t_r, t_task, t_item, t_gen) with ordinality t(r, task, item, gen, i)
      left join task k on k.run = r_run[t.r] and k.task = t.task and k.item = t.item and k.generation = t.gen
      where v_ok[t.r] and k.xmin is distinct from pg_current_xact_id()::xid;
      if coalesce(cardinality(v_bad), 0) <> v_sent - v_written then raise 'journal_commit_v1 must not run in a subtransaction'; end if;
      -- they get no event: the others move up
      select array_agg(case when z.kept then z.k end order by z.i) into v_k
      from (select t.i, t.kept, (row_number() over (partition by t.r, t.kept order by t.k))::int as k
        from (select x.r, x.k, x.i, v_ok[x.r] and x.i <> all(v_bad) as kept from unnest(t_r, t_k) with ordinality x(r, k, i)) t) z;
      update task k set seq = v_seq[t.r] + t.k
      from unnest(t_r, v_k, t_k, t_task, t_item, t_gen) t(r, k, was, task, item, gen)
      where t.k < t.was and k.run = r_run[t.r] and k.task = t.task and k.item = t.item and k.generation = t.gen;
    end if;
    if cardinality(w_t) > 0 then
      insert into wait (run, task, item, generation, kind, workspace, until, parts)
        select r_run[t_r[w.t]], t_task[w.t], t_item[w.t], t_gen[w.t], w.kind, v_ws[t_r[w.t]], coalesce(w.until::timestamptz, v_now + w.ms * interval '1 ms'), w.parts
        from unnest(w_t, w_kind, w_ms, w_until, w_parts) w(t, kind, ms, until, parts) where v_ok[t_r[w.t]] and v_k[w.t] is not null
      on conflict do nothing;
      insert into slice (run, task, generation, k, workspace, lo, hi)
        select r_run[t_r[s.t]], t_task[s.t], t_gen[s.t], s.k, v_ws[t_r[s.t]], s.lo, s.hi
        from unnest(s_t, s_k, s_lo, s_hi) s(t, k, lo, hi) where v_ok[t_r[s.t]] and v_k[s.t] is not null
      on conflict do nothing;
    end if;
  end if;

  return query
  with x as materialized (
    select t.r, t.k, t.task, t.item, t.attempt, t.status, coalesce(t.data, t.failure) as data, t.item = -1 and t.status not in ('running', 'waiting', 'retrying') as fin
    from unnest(t_r, v_k, t_task, t_item, t_attempt, t_status, t_failure, t_data) t(r, k, task, item, attempt, status, failure, data)
    where v_ok[t.r] and t.k is not null),
  d as (select y.r, count(y.k) as n, count(*) filter (where y.fin) as fin, count(*) filter (where y.fin and y.status in ('failed', 'timed_out')) as fail
    from (select x.r, x.k, x.fin, x.status from x union all select g, null, false, null from generate_series(1, v_runs) g where v_ok[g]) y group by y.r),
  u as (update run_state s set open = s.open - d.fin, failed = s.failed + d.fail, last_seq = s.last_seq + d.n, applied_seq = greatest(s.applied_seq, r_applied[d.r]),
      seg_open = case when r_epoch[d.r] > 0 then 0 else s.seg_open end,
      status = case when s.status in ('queued', 'waiting') then 'running' else s.status end,
      intent = case when s.intent is null and s.deadline <= v_now then 'timeout' else s.intent end
    from d where s.run = r_run[d.r]
    returning d.r, v_seq[d.r] as base, s.last_seq, s.intent, s.command_seq > s.applied_seq as unseen),
  e as (insert into run_event (run, seq, workspace, type, task, item, attempt, data, at)
    select r_run[x.r], v_seq[x.r] + x.k, v_ws[x.r], case x.status when 'running' then 'task.started' else 'task.' || x.status end,
      x.task, nullif(x.item, -1), x.attempt, x.data, v_now from x)
  select u.r, u.base, u.last_seq, u.intent, u.unseen, 'ok', case when v_bad is not null then array(select b from unnest(v_bad) b where t_r[b] = u.r) end from u;

  if cardinality(c_r) > 0 then -- a statement of its own: it sees the counters as this commit leaves them
    return query
    with u as (update run_state s set status = c.status, failure = c.failure, finished = v_now, last_seq = s.last_seq + 1
      from unnest(c_r, c_status, c_failure, c_output, c_ref, c_size) c(r, status, failure, output, ref, size)
      where v_ok[c.r] and s.run = r_run[c.r] and s.open = 0 and s.command_seq <= s.applied_seq
        and (s.intent is null or c.status = case s.intent when 'timeout' then 'timed_out' when 'fail' then 'failed' else 'cancelled' end)
      returning c.r, c.status, c.failure, c.output, c.ref, c.size, s.run, s.workspace, s.last_seq, s.intent),
    e as (insert into run_event (run, seq, workspace, type, data, at) select u.run, u.last_seq, u.workspace, 'run.' || u.status, u.failure, v_now from u),
    o as (insert into run_output (run, workspace, output, output_ref, output_size)
      select u.run, u.workspace, u.output, u.ref, u.size from u where u.size is not null
      on conflict (run) do update set output = excluded.output, output_ref = excluded.output_ref, output_size = excluded.output_size)
    select u.r, null::bigint, u.last_seq, u.intent, false, 'closed', null::int[] from u;
  end if;
  if not v_all then
    return query select g.r::int, null::bigint, g.seq, null, null::boolean, case when g.seq is null and not p_wait then 'skipped' else 'refused' end, null::int[]
      from unnest(v_ok, v_seq) with ordinality g(ok, seq, r) where not g.ok;
  end if;
end $$;`;
