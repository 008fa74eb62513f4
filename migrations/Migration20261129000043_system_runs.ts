import { Migration } from '@mikro-orm/migrations';

/** Runs of the system workspace are admitted: what the product does for itself. */
export class Migration20261129000043_system_runs extends Migration {
  override name = 'Migration20261129000043_system_runs';

  override up(): void {
    this.addSql(select);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const plans = `set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off set enable_incremental_sort = off set jit = off set lock_timeout = '2s'`;

/** select_runs_v2 as it was, which never came to the workspace whose id is all zeros, from where it begins each round. */
const select = `
create or replace function select_runs_v2(p_n int, p_not uuid[]) returns table (run uuid) language plpgsql volatile ${plans} as $$
#variable_conflict use_column
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000'; max_workspaces constant int := greatest(8, least(32, p_n)); max_keys constant int := 64;
  v_now timestamptz := clock_timestamp(); v_first uuid; v_at uuid; v_ws uuid; v_list uuid[] := '{}'; v_wrapped boolean := false; v_each int; v_keys int;
  v_from text; v_after text; v_to text; v_probes int; v_seen int := 0; h record;
  v_i int[] := '{}'; v_runs uuid[] := '{}'; v_ranks timestamptz[] := '{}'; v_picked uuid[]; v_last int;
begin
  v_first := coalesce((select c.after from queue_cursor c where c.workspace = nobody), nobody);
  v_at := v_first;
  -- no workspace comes before this one: going round from anywhere would pass it over. By the order of the queue's indexes, which
  -- an exists would not keep.
  if nobody <> all(p_not) and (
      (select s.run from run_state s where s.started is null and s.finished is null and s.ckey is null and s.workspace = nobody order by s.workspace, s.rank, s.run limit 1) is not null
      or (select s.run from run_state s where s.started is null and s.finished is null and s.ckey is not null and s.workspace = nobody order by s.workspace, s.ckey, s.rank, s.run limit 1) is not null) then v_list := array[nobody]; end if;
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
    v_at := v_ws;
    continue when v_ws = any(p_not);
    v_list := v_list || v_ws;
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
  if v_at not in (v_first, nobody) and cardinality(v_list) > 1 then
    insert into queue_cursor as c (workspace, after) values (nobody, v_at) on conflict (workspace) do update set after = excluded.after;
  end if;
  return query select l.run from unnest(v_picked) with ordinality p(run, i)
    cross join lateral (select s.run from run_state s where s.run = p.run and s.started is null and s.finished is null for no key update skip locked) l order by p.i;
end $$;`;
