import { Migration } from '@mikro-orm/migrations';

/** A run that begins with what another one has done: accepted, seeded and queued in one call. */
export class Migration20261129000024_fork extends Migration {
  override name = 'Migration20261129000024_fork';

  override up(): void {
    for (const statement of [fork, closedRuns]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * submit_v2 for one run, then what is kept of p_source: f_task of the new run is f_source of that one, in the order in which they
 * ended, with their items; c_task: those that run again, but not their items that are done; g_task: tasks that are given an output. Epoch 1 says that the run was begun before, so that whoever
 * begins it looks at its rows. Objects are held by the trigger of tasks, artifacts of the source's tasks by the run.
 * TU404: there is no such source; TU409: as conflict_v1; TU412: it is open, or was since p_seq. With these nothing is left.
 */
const fork = `
create function fork_run_v1(p_source uuid, p_seq bigint, p_audit uuid, p_note json, f_task int[], f_source int[], c_task int[], c_source int[],
  g_task int[], g_output json[], g_ref bytea[], g_size int[],
  s_run uuid[], s_ws uuid[], s_project uuid[], s_definition text[], s_number int[], s_plan bytea[], s_input json[], s_total int[], s_priority int[],
  s_labels json[], s_deadline bigint[], s_actor text[], s_audit uuid[], k_s int[], k_principal text[], k_key text[], k_hash bytea[],
  p_hash bytea[], p_body json[], l_s int[], l_name text[], l_value text[], a_s int[], a_sha bytea[],
  s_mode text[], s_ckey text[], s_climit int[], s_conflict text[], s_after text[], s_data json[])
returns table (run uuid, outcome text) language plpgsql volatile set enable_seqscan = off set jit = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare s run_state; v_run uuid := s_run[1]; v_ws uuid := s_ws[1]; v_now timestamptz(3); v_rows int; v_tasks int; begin
  select x.run, x.outcome into run, outcome from submit_v2(s_run, s_ws, s_project, s_definition, s_number, s_plan, s_input, s_total, s_priority, s_labels, s_deadline, s_actor, s_audit,
    k_s, k_principal, k_key, k_hash, p_hash, p_body, l_s, l_name, l_value, a_s, a_sha, s_mode, s_ckey, s_climit, s_conflict, s_after, s_data) x;
  if found then return next; return; end if;
  select * into s from run_state q where q.run = p_source and q.workspace = v_ws for share; -- neither opened again nor taken away meanwhile
  if s.run is null then raise exception 'no such run' using errcode = 'TU404'; end if;
  if s.finished is null or s.last_seq <> p_seq then raise exception 'the run has changed' using errcode = 'TU412'; end if;
  update run r set forked_from = p_source where r.id = v_run returning r.created into v_now;
  insert into artifact_ref (workspace, sha256, holder, created)
    select v_ws, a.sha256, 'run:' || v_run, v_now from artifact_ref a where a.run = p_source and a.holder = 'run:' || p_source order by a.sha256 on conflict do nothing;
  with k as materialized (
      select f.task, f.i, t.item, t.status, t.branch, t.attempt, t.losses, t.output, t.output_ref, t.output_size, t.failure, t.started, t.finished, false as given
      from unnest(f_task, f_source) with ordinality f(task, source, i)
        cross join lateral (select max(m.generation) as newest from task m where m.run = p_source and m.task = f.source and m.item = -1) g
        join task t on t.run = p_source and t.task = f.source and t.generation = g.newest and t.finished is not null
      union all
      select g.task, cardinality(f_task) + g.i, -1, 'completed', null, 0, 0, g.output, g.ref, g.size, null, v_now, v_now, true
      from unnest(g_task, g_output, g_ref, g_size) with ordinality g(task, output, ref, size, i)
      union all
      select c.task, cardinality(f_task) + cardinality(g_task) + c.i, t.item, t.status, t.branch, t.attempt, t.losses, t.output, t.output_ref, t.output_size, null, t.started, t.finished, false
      from unnest(c_task, c_source) with ordinality c(task, source, i)
        cross join lateral (select max(m.generation) as newest from task m where m.run = p_source and m.task = c.source and m.item = -1) g
        join task t on t.run = p_source and t.task = c.source and t.generation = g.newest and t.item >= 0 and t.status in ('completed', 'skipped')
      union all
      select c.task, cardinality(f_task) + cardinality(g_task) + c.i, -1, 'pending', null, 0, 0, null, null, null, null, null, null, false from unnest(c_task) with ordinality c(task, i)),
    n as materialized (select k.*, 1 + row_number() over (order by k.i, k.item = -1, k.item) as seq from k),
    t as (insert into task (run, task, item, generation, workspace, status, branch, attempt, losses, seq, output, output_ref, output_size, failure, started, finished)
      select v_run, n.task, n.item, 0, v_ws, n.status, n.branch, n.attempt, n.losses, n.seq, n.output, n.output_ref, n.output_size, n.failure, n.started, n.finished from n),
    e as (insert into run_event (run, seq, workspace, type, task, item, attempt, data, at)
      select v_run, n.seq, v_ws, 'task.' || n.status, n.task, nullif(n.item, -1), nullif(n.attempt, 0),
        case when n.given then json_build_object('from', p_source, 'given', true) when n.status = 'pending' then json_build_object('from', p_source, 'generation', 0, 'keptItems', true) else json_build_object('from', p_source) end, v_now from n)
  select count(*), count(*) filter (where n.item = -1 and n.status <> 'pending') into v_rows, v_tasks from n;
  update run_state q set epoch = 1, open = q.total - v_tasks, last_seq = 1 + v_rows where q.run = v_run;
  insert into audit (id, workspace, actor, action, subject, data, at) values (p_audit, v_ws, s_actor[1], 'run.fork', 'run:' || p_source, json_build_object('run', v_run, 'asked', p_note), v_now);
  run := v_run; outcome := 'new';
  return next;
end $$;`;

/** As in Migration20261128000012_ends, with the run that started it and where it came from. */
const closedRuns = `
create or replace function closed_runs_v1(p_runs uuid[]) returns setof json language plpgsql stable
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
begin
  return query select row_to_json(v) from (
    select r.id, r.workspace, r.definition, r.definition_number, encode(r.plan, 'hex') as plan, r.priority, r.mode, r.labels, r.forked_from, r.created, r.created_by,
      s.status, s.reason, s.intent, s.total, s.open, s.failed, s.last_seq, s.not_before, s.deadline, s.started, s.finished, s.failure, r.parent,
      (select json_agg(c) from (select t.status, count(*)::int as n from (
          select distinct on (k.task) k.status from task k where k.run = r.id and k.item = -1 order by k.task, k.generation desc) t group by 1) c
        where s.started is not null) as counts,
      o.output::text as output, encode(o.output_ref, 'hex') as output_ref, o.output_size
    from run_state s join run r on r.id = s.run left join run_output o on o.run = s.run where s.run = any(p_runs) and s.finished is not null) v;
end $$;`;
