import { Migration } from '@mikro-orm/migrations';

/** What cannot begin any more cannot be kept from beginning. */
export class Migration20261129000029_strategy extends Migration {
  override name = 'Migration20261129000029_strategy';

  override up(): void {
    for (const statement of [pause]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** As in Migration20261129000017_control; of the tasks that it names those that have ended are left out, and without any other it is refused. */
const pause = `
create or replace function pause_v1(p_run uuid, p_ws uuid, p_pause boolean, p_tasks int[], p_payload json, p_data json, p_actor text, p_audit uuid)
returns bigint language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
declare s run_state; v_open int[]; v_held int[]; begin
  select * into s from run_state where run = p_run and workspace = p_ws for no key update;
  if s.run is null then return 0; end if;
  if s.finished is not null then return null; end if;
  if p_tasks is null then
    if s.paused = p_pause and (p_pause or s.held is null) then return -1; end if;
    v_held := case when p_pause then s.held end;
  else
    if p_pause then
      v_open := array(select p.task from unnest(p_tasks) p(task) where (select t.finished from task t
        where t.run = p_run and t.task = p.task and t.item = -1 order by t.generation desc limit 1) is null);
    end if;
    select nullif(array(select distinct h from unnest(coalesce(s.held, '{}') || coalesce(v_open, '{}')) h where p_pause or h <> all(p_tasks) order by h), '{}') into v_held;
    if v_held is not distinct from s.held then return -1; end if;
  end if;
  perform note_command_v1(s, case when p_pause then 'pause' else 'resume' end, null, p_payload, p_data, p_actor, p_audit, clock_timestamp());
  update run_state set last_seq = s.last_seq + 1, command_seq = s.last_seq + 1, held = v_held, paused = case when p_tasks is null then p_pause else paused end,
    status = case when p_tasks is not null or started is null then status when p_pause then 'paused' else 'running' end where run = p_run;
  if not p_pause then update wait set dispatched = false where run = p_run and kind = 'map' and not closed and decision is null; end if;
  return s.last_seq + 1;
end $$;`;
