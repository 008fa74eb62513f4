import { Migration } from '@mikro-orm/migrations';

/**
 * A claim is the beginning of a run: who claims it, runs its first segment. Submits carry how a run is to be carried
 * (mode), what else of its kind may run beside it (concurrency key) and from when (not_before).
 */
export class Migration20261125000004_begin extends Migration {
  override name = 'Migration20261125000004_begin';

  override up(): void {
    this.addSql(columns);
    this.addSql(submit);
    this.addSql(begin);
    this.addSql(load);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const plans = `set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s'`;

const columns = `
alter table run add column mode text not null default 'standard', add column ckey text, add column climit int, add column conflict text;
alter table run_state add column not_before timestamptz(3);`;

/** submit_v1 with s_mode ... s_data: mode, concurrency key, its limit and what to do on a conflict, ISO time before which it waits, data of run.accepted. */
const submit = `
create function submit_v2(
  s_run uuid[], s_ws uuid[], s_project uuid[], s_definition text[], s_number int[], s_plan bytea[], s_input json[], s_total int[], s_priority int[],
  s_labels json[], s_deadline bigint[], s_actor text[], s_audit uuid[], k_s int[], k_principal text[], k_key text[], k_hash bytea[],
  p_hash bytea[], p_body json[], l_s int[], l_name text[], l_value text[], a_s int[], a_sha bytea[],
  s_mode text[], s_ckey text[], s_climit int[], s_conflict text[], s_after text[], s_data json[])
returns table (i int, run uuid, outcome text) language plpgsql volatile ${plans} as $$
#variable_conflict use_column
declare
  v_now timestamptz(3) := clock_timestamp(); v_me xid := pg_current_xact_id()::xid; v_n int := cardinality(s_run); v_rows int;
  v_new boolean[]; v_same boolean[]; v_run uuid[];
begin
  insert into idempotency as d (workspace, principal, key, hash, run, expires)
    select s_ws[k.s], k.principal, k.key, k.hash, s_run[k.s], v_now + interval '7 days'
    from unnest(k_s, k_principal, k_key, k_hash) k(s, principal, key, hash) order by 1, 2, 3
  on conflict (workspace, principal, key) do update
    set hash = excluded.hash, run = excluded.run, status = null, response = null, expires = excluded.expires where d.expires < v_now;
  get diagnostics v_rows = row_count;
  if v_rows = cardinality(k_s) then
    v_new := array_fill(true, array[v_n]);
    v_same := array_fill(false, array[v_n]);
    v_run := s_run;
  else -- losers are read by a statement of their own: its snapshot sees what they lost to
    select array_agg(z.new order by z.s), array_agg(z.same order by z.s), array_agg(z.run order by z.s) into v_new, v_same, v_run
    from (select y.s, bool_and(y.mine) as new, bool_and(y.mine or y.same) as same, (array_agg(y.run) filter (where not y.mine))[1] as run
      from (select k.s, d.xmin = v_me as mine, d.hash = k.hash and d.run is not null as same, d.run
          from unnest(k_s, k_principal, k_key, k_hash) k(s, principal, key, hash)
          join idempotency d on d.workspace = s_ws[k.s] and d.principal = k.principal and d.key = k.key
        union all select g, true, true, null from generate_series(1, v_n) g) y group by y.s) z;
  end if;
  insert into plan (hash, body, created) select p.hash, p.body, v_now from unnest(p_hash, p_body) p(hash, body) order by 1 on conflict do nothing;
  insert into run (id, workspace, project, definition, definition_number, plan, input, priority, labels, deadline, created, created_by, mode, ckey, climit, conflict)
    select s.run, s.ws, s.project, s.definition, s.number, s.plan, s.input, s.priority, s.labels, v_now + s.deadline * interval '1 ms', v_now, s.actor, coalesce(s.mode, 'standard'), s.ckey, s.climit, s.conflict
    from unnest(s_run, s_ws, s_project, s_definition, s_number, s_plan, s_input, s_priority, s_labels, s_deadline, s_actor, s_mode, s_ckey, s_climit, s_conflict) with ordinality
      s(run, ws, project, definition, number, plan, input, priority, labels, deadline, actor, mode, ckey, climit, conflict, i)
    where v_new[s.i] order by s.run
  on conflict (id) do nothing;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(array_positions(v_new, true)) then -- an id that a run outside of this key's reach has
    select array_agg(v_new[s.i] and r.xmin is not distinct from v_me order by s.i), array_agg(v_same[s.i] and not v_new[s.i] order by s.i) into v_new, v_same
    from unnest(s_run) with ordinality s(run, i) left join run r on r.id = s.run;
  end if;
  with s as materialized (
    select s.* from unnest(s_run, s_ws, s_total, s_deadline, s_actor, s_audit, s_after, s_data) with ordinality s(run, ws, total, deadline, actor, audit, after, data, i) where v_new[s.i]),
  a as (insert into run_state (run, workspace, status, total, open, last_seq, deadline, not_before)
    select s.run, s.ws, 'queued', s.total, s.total, 1, v_now + s.deadline * interval '1 ms', s.after::timestamptz from s),
  b as (insert into label (workspace, name, value, run)
    select s_ws[l.s], l.name, l.value, s_run[l.s] from unnest(l_s, l_name, l_value) l(s, name, value) where v_new[l.s] on conflict do nothing),
  c as (insert into artifact_ref (workspace, sha256, holder, created)
    select s_ws[f.s], f.sha, 'run:' || s_run[f.s], v_now from unnest(a_s, a_sha) f(s, sha) where v_new[f.s] on conflict do nothing),
  e as (insert into run_event (run, seq, workspace, type, data, at) select s.run, 1, s.ws, 'run.accepted', s.data, v_now from s)
  insert into audit (id, workspace, actor, action, subject, at) select s.audit, s.ws, s.actor, 'run.start', 'run:' || s.run, v_now from s;
  if false = any(v_new) then
    -- a submit that lost by one of its keys leaves no other behind, unless it points to the same run
    delete from idempotency d using unnest(k_s, k_principal, k_key) k(s, principal, key)
    where not v_new[k.s] and not (v_same[k.s] and v_run[k.s] = s_run[k.s])
      and d.workspace = s_ws[k.s] and d.principal = k.principal and d.key = k.key and d.xmin = v_me;
    return query select g.i::int, case when g.same then g.run end, case when g.same then 'known' else 'conflict' end
      from unnest(v_new, v_same, v_run) with ordinality g(new, same, run, i) where not g.new;
  end if;
end $$;`;

/**
 * select_runs_v1 says which queued runs may start, in order; its caller holds the lock that serialises admission (SKIP LOCKED
 * alone lets concurrent claimers exceed a limit). begin_runs_v1 begins them for a worker, in one commit with run.started: their
 * epoch fences whoever comes after, and until owner_until nobody repairs them.
 */
const begin = `
create function select_runs_v1(p_n int) returns table (run uuid) language sql volatile set enable_seqscan = off as $$
  select s.run from run_state s
  where s.started is null and s.finished is null and (s.not_before is null or s.not_before <= clock_timestamp())
  order by s.run limit p_n for no key update skip locked $$;

create function begin_runs_v1(p_runs uuid[], p_worker uuid, p_claim_ms int)
returns table (run uuid, workspace uuid, definition text, title text, parent uuid, priority smallint, total int, mode text, epoch int, cursor bigint,
  intent text, due double precision, plan text, input json, input_size int, started timestamptz) language plpgsql volatile ${plans} as $$
#variable_conflict use_column
declare v_now timestamptz(3) := clock_timestamp(); begin
  return query
  with b as (
    update run_state s set owner = p_worker, owner_until = v_now + make_interval(secs => p_claim_ms / 1000.0), epoch = s.epoch + 1, seg_open = 1,
      status = 'running', started = v_now, last_seq = s.last_seq + 1, applied_seq = s.last_seq + 1
    where s.run = any(p_runs) and s.started is null and s.finished is null
    returning s.run, s.workspace, s.total, s.epoch, s.last_seq, s.intent, s.deadline
  ), e as (insert into run_event (run, seq, workspace, type, at) select b.run, b.last_seq, b.workspace, 'run.started', v_now from b)
  select b.run, b.workspace, r.definition,
    coalesce(d.title, (select p.body->>'title' from plan p where p.hash = r.plan and d.name is null and pg_column_size(p.body) < 16384)),
    r.parent, r.priority, b.total, r.mode, b.epoch, b.last_seq, b.intent,
    case when b.deadline is not null and b.intent is null then greatest(0, extract(epoch from b.deadline - v_now) * 1000)::double precision end,
    encode(r.plan, 'hex'), case when pg_column_size(r.input) <= 65536 then r.input end, coalesce(octet_length(r.input::text), 0), v_now
  from b join run r on r.id = b.run
    left join definition d on d.workspace = r.workspace and d.name = r.definition and d.number = r.definition_number
  order by array_position(p_runs, b.run);
end $$;

create function admit_v2(p_worker uuid, p_n int, p_claim_ms int)
returns table (run uuid, workspace uuid, definition text, title text, parent uuid, priority smallint, total int, mode text, epoch int, cursor bigint,
  intent text, due double precision, plan text, input json, input_size int, started timestamptz) language plpgsql volatile set lock_timeout = '2s' as $$
declare v_runs uuid[]; begin
  perform pg_advisory_xact_lock(7306370816);
  select array_agg(s.run) into v_runs from select_runs_v1(p_n) s;
  if v_runs is null then return; end if;
  return query select * from begin_runs_v1(v_runs, p_worker, p_claim_ms);
end $$;`;

/** load_run_v1 that also says who carries the run from now on. */
const load = `
create function load_run_v2(p_run uuid, p_worker uuid) returns json language plpgsql volatile set lock_timeout = '2s' as $$
begin
  update run_state set owner = p_worker, owner_until = null where run = p_run and finished is null;
  return load_run_v1(p_run);
end $$;`;
