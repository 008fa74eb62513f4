import { Migration } from '@mikro-orm/migrations';

/**
 * Signed webhooks of the outside, reminders of approvals, and events that are given in one call.
 */
export class Migration20261129000027_hooks extends Migration {
  override name = 'Migration20261129000027_hooks';

  override up(): void {
    for (const statement of [hooks, security, reminders, remind, give]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * hook.id: in the address that the outside posts to, which nobody can guess. event_key: text with expressions over the payload.
 * secret_past: values that a secret had before, while hooks that name it still accept them.
 * hook_trigger: runs of stored definitions that a delivery starts.
 */
const hooks = `
create table hook (workspace uuid not null, name text collate "C" not null, id uuid not null unique, event_name text not null, event_key text not null,
  scheme text not null, secret text not null, tolerance int not null, created timestamptz(3) not null, created_by text not null,
  updated timestamptz(3) not null, updated_by text not null, primary key (workspace, name));
create index hook_secret on hook (workspace, secret);
create table secret_past (workspace uuid not null, name text not null, version int not null, key_id text not null, sealed bytea not null,
  until timestamptz(3) not null, primary key (workspace, name, version));
create index secret_past_until on secret_past (until);
create table hook_trigger (workspace uuid not null, hook text collate "C" not null, definition text collate "C" not null, trigger int not null, input json,
  created timestamptz(3) not null, created_by text not null, primary key (workspace, hook, definition, trigger));
create index hook_trigger_definition on hook_trigger (workspace, definition);
grant select, insert, update, delete on hook, secret_past, hook_trigger to tiu_engine, tiu_api;`;

const security = ['hook', 'secret_past', 'hook_trigger']
  .map(
    (table) => `
alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('');

/** remind_at: of an approval, when the next reminder is due; reminded: how many of its times have passed. */
const reminders = `
alter table wait add column remind_at timestamptz(3), add column reminded int not null default 0;
create index wait_remind on wait (remind_at) where remind_at is not null and not closed and decision is null;
create function wait_remind_v1() returns trigger language plpgsql as $$
begin
  new.remind_at := new.since + (new.data->'remind'->'atMs'->>0)::bigint * interval '1 ms';
  return new;
end $$;
create trigger wait_remind before insert on wait for each row when (new.kind = 'approval' and new.data->'remind' is not null) execute function wait_remind_v1();`;

/** Times that have passed together (nobody was there) are one reminder. A run that somebody else holds is left for the next call. */
const remind = `
create function remind_v1(p_limit int)
returns table (run uuid, workspace uuid, definition text, plan text, task int, generation int, since timestamptz, number int, data json) language plpgsql volatile
set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare c record; w wait; s run_state; v_now timestamptz(3); v_times bigint[]; v_number int; begin
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
    select count(*) into v_number from unnest(v_times) t(ms) where w.since + t.ms * interval '1 ms' <= v_now;
    update wait x set reminded = v_number, remind_at = w.since + v_times[v_number + 1] * interval '1 ms'
      where x.run = w.run and x.task = w.task and x.item = w.item and x.generation = w.generation and x.kind = w.kind;
    insert into run_event (run, seq, workspace, type, task, data, at) values (w.run, s.last_seq + 1, w.workspace, 'task.reminded', w.task,
      json_strip_nulls(json_build_object('number', v_number, 'of', cardinality(v_times), 'channel', w.data->'remind'->'channel')), v_now);
    update run_state y set last_seq = s.last_seq + 1 where y.run = w.run;
    return query select r.id, r.workspace, r.definition, encode(r.plan, 'hex'), w.task, w.generation, w.since::timestamptz, v_number, w.data from run r where r.id = w.run;
  end loop;
end $$;`;

/**
 * Gives the oldest event of a name and key that nobody has taken to all who wait for it. p_fit, p_misfit: schemas of theirs that the
 * payload of the event p_id was compared with. Where somebody waits with another one, or the oldest is another event, nothing is done:
 * id, payload and schemas are what to compare. Nobody's run is locked: a wait is decided, and whoever carries the run settles it at its next look.
 */
const give = `
create function give_event_v1(p_ws uuid, p_name text, p_key text, p_id text, p_fit text[], p_misfit text[])
returns table (runs uuid[], id text, payload json, schemas text[]) language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
#variable_conflict use_column
declare e event; v_schemas text[]; v_runs uuid[]; v_fit boolean; begin
  perform pg_advisory_xact_lock(hashtextextended(p_ws || ' ' || p_name || ' ' || p_key, 7306370817));
  select * into e from event x where x.workspace = p_ws and x.name = p_name and x.key = p_key and x.taken is null and x.expires > clock_timestamp() order by x.at, x.id limit 1;
  if e.id is null then return; end if;
  select array_agg(y.schema) into v_schemas from (select distinct x.data->>'schema' as schema from wait x where x.workspace = p_ws and x.event_name = p_name and x.event_key = p_key
    and x.kind = 'event' and not x.closed and x.decision is null and x.data->'schema' is not null limit 1000) y
    where e.id is distinct from p_id or y.schema <> all(p_fit || p_misfit);
  if v_schemas is not null then
    return query select '{}'::uuid[], e.id, e.payload, v_schemas;
    return;
  end if;
  with w as (
    update wait x set decision = case when x.data->>'schema' = any(p_misfit) then 'failed' else 'completed' end,
      output = case when not coalesce(x.data->>'schema' = any(p_misfit), false) then e.payload end,
      failure = case when x.data->>'schema' = any(p_misfit) then json_build_object('code', 'event_mismatch', 'message', 'The event ' || e.id || ' does not match the schema') end
    where x.workspace = e.workspace and x.event_name = e.name and x.event_key = e.key and x.kind = 'event' and not x.closed and x.decision is null
      and (x.data->'schema' is null or x.data->>'schema' = any(p_fit) or x.data->>'schema' = any(p_misfit))
      and exists (select from run_state s where s.run = x.run and s.finished is null)
    returning x.run, x.decision)
  select array_agg(distinct w.run order by w.run), bool_or(w.decision = 'completed') into v_runs, v_fit from w;
  if v_runs is null then return; end if;
  if v_fit then update event x set taken = clock_timestamp() where x.workspace = p_ws and x.id = e.id; end if;
  insert into untold (run, workspace) select r, p_ws from unnest(v_runs) r order by r on conflict (run) do update set poke_after = null;
  return query select v_runs, null::text, null::json, null::text[];
end $$;`;
