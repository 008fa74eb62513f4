import { Migration } from '@mikro-orm/migrations';

/**
 * Commands in bulk: a job walks the runs of a filter by id. `cursor` is the last run it has looked at; it moves in the commit
 * that gives the commands, so no run gets one twice. moved: when it last had its turn, for jobs take turns.
 */
export class Migration20261129000025_bulk extends Migration {
  override name = 'Migration20261129000025_bulk';

  override up(): void {
    for (const statement of [table, security, step]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** counted: how many runs the filter found when the job was made; more: there were more than were counted. */
const table = `
create table bulk (id uuid primary key, workspace uuid not null, type text not null, force boolean not null, reason text, filter json not null,
  status text not null default 'running', cursor uuid not null, counted int not null, more boolean not null,
  done int not null default 0, applied int not null default 0, refused jsonb not null default '{}',
  created timestamptz(3) not null, created_by text not null, moved timestamptz(3) not null, finished timestamptz(3));
create index bulk_of_workspace on bulk (workspace, id desc);
create index bulk_running on bulk (moved) where finished is null;
create index bulk_finished on bulk (finished) where finished is not null;`;

const security = `
alter table bulk enable row level security;
create policy engine on bulk to tiu_engine using (true) with check (true);
create policy own_workspace on bulk to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;

/** Null: the job has ended or has been taken further meanwhile, and nothing was done. */
const step = `
create function bulk_step_v1(p_bulk uuid, p_from uuid, p_to uuid, p_last boolean, p_runs uuid[], p_audit uuid[], p_orders json)
returns uuid[] language plpgsql volatile set lock_timeout = '2s' as $$
declare b bulk; s run_state; v_statuses text[]; v_order json; v_payload json; v_data json; v_seq bigint; v_code text; v_done int := 0; v_applied uuid[] := '{}'; begin
  select * into b from bulk x where x.id = p_bulk for no key update;
  if b.id is null or b.finished is not null or b.cursor <> p_from then return null; end if;
  v_statuses := array(select json_array_elements_text(b.filter->'status'));
  for i in 1 .. cardinality(p_runs) loop
    select * into s from run_state x where x.run = p_runs[i] and x.workspace = b.workspace for no key update;
    continue when s.run is null or cardinality(v_statuses) > 0 and s.status <> all(v_statuses); -- it is not meant any more
    v_order := p_orders->(i - 1);
    v_payload := json_strip_nulls(json_build_object('reason', b.reason, 'force', case when b.type = 'cancel' then b.force end, 'tasks', v_order->'names', 'bulk', b.id));
    v_data := json_strip_nulls(json_build_object('reason', b.reason, 'by', b.created_by, 'tasks', v_order->'names', 'bulk', b.id));
    if b.type = 'cancel' then
      if s.finished is null and not b.force and s.intent in ('cancel', 'force') then v_seq := -1; -- a second cancel would force
      else v_seq := command_v1(s.run, b.workspace, b.type, v_payload, v_data, b.reason, b.created_by, p_audit[i], b.force); end if;
    elsif b.type = 'retry' then
      if json_typeof(v_order) is distinct from 'object' then v_seq := -1; -- nothing of it can be tried again
      else v_seq := reopen_run_v1(s.run, b.workspace, (v_order->>'seq')::bigint, array(select json_array_elements_text(v_order->'tasks')::int),
        array(select json_array_elements_text(v_order->'keepItems')::int), v_payload, v_data, b.created_by, p_audit[i]); end if;
    else
      v_seq := pause_v1(s.run, b.workspace, b.type = 'pause', null, v_payload, v_data, b.created_by, p_audit[i]);
    end if;
    v_done := v_done + 1;
    if v_seq > 0 then
      v_applied := v_applied || s.run;
    else
      v_code := case when v_seq is null then 'run_already_closed' when v_seq = 0 then 'not_found' else 'state_conflict' end;
      b.refused := b.refused || jsonb_build_object(v_code, coalesce((b.refused->>v_code)::int, 0) + 1);
    end if;
  end loop;
  update bulk x set cursor = p_to, done = x.done + v_done, applied = x.applied + cardinality(v_applied), refused = b.refused,
    status = case when p_last then 'completed' else x.status end, finished = case when p_last then clock_timestamp() end where x.id = p_bulk;
  return v_applied;
end $$;`;
