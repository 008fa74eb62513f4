import { Migration } from '@mikro-orm/migrations';

/** Closed runs as they are shown, and notices that bring the short ones along: who waits for the end need not ask for it. */
export class Migration20261128000012_ends extends Migration {
  override name = 'Migration20261128000012_ends';

  override up(): void {
    this.addSql(closedRuns);
    this.addSql(notify);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

const plans = `set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off`;

/** Those of the given runs that are closed, each as json: the run, its tasks counted by status, what it gave (output is text, output_ref hex). */
const closedRuns = `
create function closed_runs_v1(p_runs uuid[]) returns setof json language plpgsql stable ${plans} as $$
begin
  return query select row_to_json(v) from (
    select r.id, r.workspace, r.definition, r.definition_number, encode(r.plan, 'hex') as plan, r.priority, r.mode, r.labels, r.created, r.created_by,
      s.status, s.reason, s.intent, s.total, s.open, s.failed, s.last_seq, s.not_before, s.deadline, s.started, s.finished, s.failure,
      (select json_agg(c) from (select t.status, count(*)::int as n from (
          select distinct on (k.task) k.status from task k where k.run = r.id and k.item = -1 order by k.task, k.generation desc) t group by 1) c
        where s.started is not null) as counts,
      o.output::text as output, encode(o.output_ref, 'hex') as output_ref, o.output_size
    from run_state s join run r on r.id = s.run left join run_output o on o.run = s.run where s.run = any(p_runs) and s.finished is not null) v;
end $$;`;

/** A notice holds less than 8,000 bytes; counting many tasks would hold up the next commit. The ends first: who was told of one need not look. */
const notify = `
create function notify_v1(p_channels text[], p_payloads text[], p_ended uuid[]) returns void language plpgsql volatile ${plans} as $$
begin
  if cardinality(p_ended) > 0 then
    perform pg_notify('end', c.v::text) from closed_runs_v1(array(select s.run from run_state s where s.run = any(p_ended) and s.finished is not null and s.total <= 100)) c(v)
      where octet_length(c.v::text) < 7900;
  end if;
  perform pg_notify(n.c, n.p) from unnest(p_channels, p_payloads) n(c, p);
end $$;`;
