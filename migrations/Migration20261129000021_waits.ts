import { Migration } from '@mikro-orm/migrations';

/**
 * Waits for events of a workspace and for decisions of people. An event that nobody waits for is kept for a time.
 */
export class Migration20261129000021_waits extends Migration {
  override name = 'Migration20261129000021_waits';

  override up(): void {
    for (const statement of [columns, events, approvals]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** event_name, event_key: of a wait for an event; data: what it says of itself; output: what it was given. */
const columns = `
alter table wait add column data json, add column output json, add column event_name text collate "C", add column event_key text collate "C";
create index wait_event on wait (workspace, event_name, event_key) where kind = 'event' and not closed and decision is null;
create index wait_approval on wait (workspace, since, run, task) where kind = 'approval' and not closed and decision is null;
create table event (workspace uuid not null, id text collate "C" not null, name text collate "C" not null, key text collate "C" not null, payload json, sent_by text not null,
  at timestamptz(3) not null, expires timestamptz(3) not null, taken timestamptz(3), primary key (workspace, id));
create index event_left on event (workspace, name, key, at) where taken is null;
create index event_expires on event (expires);
grant select, insert, update, delete on event to tiu_engine, tiu_api;
alter table event enable row level security;
create policy engine on event to tiu_engine using (true) with check (true);
create policy own_workspace on event to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`;

const events = `
create function store_event_v1(p_ws uuid, p_id text, p_name text, p_key text, p_payload json, p_actor text, p_audit uuid, p_days int)
returns table (outcome text, at timestamptz) language plpgsql volatile set lock_timeout = '2s' as $$
#variable_conflict use_column
declare v_now timestamptz(3) := clock_timestamp(); e event; begin
  insert into event (workspace, id, name, key, payload, sent_by, at, expires) values (p_ws, p_id, p_name, p_key, p_payload, p_actor, v_now, v_now + p_days * interval '1 day') on conflict do nothing;
  if found then
    insert into audit (id, workspace, actor, action, subject, data, at) values (p_audit, p_ws, p_actor, 'event.send', 'event:' || p_id, json_build_object('name', p_name, 'key', p_key), v_now);
    return query select 'new', v_now::timestamptz;
    return;
  end if;
  select * into e from event x where x.workspace = p_ws and x.id = p_id;
  return query select case when e.name = p_name and e.key = p_key and e.payload::text is not distinct from p_payload::text then 'same' else 'other' end, e.at::timestamptz;
end $$;`;

const approvals = `
-- Decides an approval once. -1: it has been, or there is none
create function decide_approval_v1(p_run uuid, p_ws uuid, p_task int, p_type text, p_status text, p_output json, p_failure json, p_payload json, p_data json, p_actor text, p_audit uuid)
returns bigint language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
declare s run_state; w wait; begin
  select * into s from run_state where run = p_run and workspace = p_ws for no key update;
  if s.run is null then return 0; end if;
  if s.finished is not null then return null; end if;
  select * into w from wait x where x.run = p_run and x.task = p_task and x.item = -1 and x.kind = 'approval' and not x.closed and x.decision is null
    and (x.until is null or x.until > clock_timestamp()) order by x.generation desc limit 1 for update;
  if w.run is null then return -1; end if;
  update wait x set decision = p_status, output = p_output, failure = p_failure where x.run = w.run and x.task = w.task and x.item = w.item and x.generation = w.generation and x.kind = w.kind;
  perform note_command_v1(s, p_type, p_task, p_payload, p_data, p_actor, p_audit, clock_timestamp());
  update run_state set last_seq = s.last_seq + 1, command_seq = s.last_seq + 1 where run = p_run;
  return s.last_seq + 1;
end $$;`;
