import { Migration } from '@mikro-orm/migrations';

/**
 * Who lives and who takes over. A worker holds an advisory lock, keyed by its id, for as long as its session lasts: the
 * server frees it the moment the process ends, long before a heartbeat is missed. Whoever takes over holds the same lock
 * for each step, so takers go one at a time and a worker that is back cannot be taken over.
 */
export class Migration20261125000006_takeover extends Migration {
  override name = 'Migration20261125000006_takeover';

  override up(): void {
    for (const statement of [columns, session, scan, taking, reclaim, adopt, handOver]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** Null: a worker of an older version, which holds no lock. */
const columns = `
alter table worker add column session timestamptz(3);`;

const session = `
-- the random half of a version 7 uuid; always negative, so never the key of another lock of ours
create function session_key_v1(p_worker uuid) returns bigint language sql immutable as
$$ select ('x' || right(replace(p_worker::text, '-', ''), 16))::bit(64)::bigint $$;
-- on the connection whose life is that of the worker: the lock outlasts the call
create function open_session_v1(p_worker uuid, p_name text, p_version text, p_data json) returns void language plpgsql volatile set lock_timeout = '2s' as $$
begin
  perform pg_advisory_lock(session_key_v1(p_worker));
  insert into worker as w (id, name, version, started, seen, session, temporal, data)
    values (p_worker, p_name, p_version, clock_timestamp(), clock_timestamp(), clock_timestamp(), false, p_data)
    on conflict (id) do update set seen = excluded.seen, session = excluded.session;
end $$;
-- when the server began to accept sessions: all earlier ones ended with its predecessor, whoever their owners were
create function serving_since_v1() returns timestamptz language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(max(backend_start), pg_postmaster_start_time()) from pg_stat_activity where backend_type = 'walwriter' $$;`;

/**
 * A session that a restart of the server ended says nothing for p_grace_ms: its worker connects again. A worker whose
 * session lives but that has not been seen for p_stall_ms is stopped; null: nobody counts as stopped.
 */
const scan = `
create function ended_workers_v1(p_self uuid, p_stall_ms int, p_grace_ms int) returns table (id uuid, stalled boolean) language plpgsql volatile as $$
declare w record; v_serving timestamptz; begin
  for w in select x.id, x.session, x.seen from worker x where x.id <> p_self and x.session is not null order by x.id loop
    if pg_try_advisory_xact_lock_shared(session_key_v1(w.id)) then
      v_serving := coalesce(v_serving, serving_since_v1());
      if w.session < v_serving and clock_timestamp() < v_serving + make_interval(secs => p_grace_ms / 1000.0) then continue; end if;
      id := w.id; stalled := false; return next;
    elsif w.seen < clock_timestamp() - make_interval(secs => p_stall_ms / 1000.0) then
      id := w.id; stalled := true; return next;
    end if;
  end loop;
end $$;`;

/** True for the rest of the transaction: the worker is still gone (stopped, if p_stall_ms is given) and nobody else takes it over now. */
const taking = `
create function may_take_v1(p_worker uuid, p_stall_ms int) returns boolean language plpgsql volatile as $$
begin
  if p_stall_ms is null then return pg_try_advisory_xact_lock(session_key_v1(p_worker)); end if;
  perform 1 from worker w where w.id = p_worker and w.seen < clock_timestamp() - make_interval(secs => p_stall_ms / 1000.0) for no key update skip locked;
  return found;
end $$;`;

/**
 * The next runs of a worker that is gone, for another one that begins them anew: their epoch fences what is left of the
 * first. What it had promised to send (a cancel, a poke, slices of maps) is unmarked and sent again, which harms nobody.
 * Runs that only wait are left to adopt_runs_v1, but for those that began to wait a moment ago: the workflow task that
 * tells their execution so may have died with the worker, and is begun anew by nothing but its timeout.
 */
const reclaim = `
create function waits_only_v1(s run_state) returns boolean language sql stable as $$
  select s.status = 'waiting' and s.command_seq <= s.applied_seq and s.intent is null
    and not exists (select from wait w where w.run = s.run and not w.closed and (w.decision is not null or w.until < clock_timestamp() + interval '3 s'))
    and exists (select from run_event e where e.run = s.run and e.seq = s.last_seq and e.at < clock_timestamp() - interval '3 s') $$;
create function reclaim_runs_v1(p_dead uuid, p_worker uuid, p_n int, p_claim_ms int, p_stall_ms int)
returns table (run uuid, workspace uuid, definition text, title text, parent uuid, priority smallint, total int, mode text, epoch int, cursor bigint,
  intent text, due double precision, plan text, input json, input_size int, started timestamptz)
language plpgsql volatile set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s' as $$
#variable_conflict use_column
begin
  if not may_take_v1(p_dead, p_stall_ms) then return; end if;
  return query
  with o as (
    select s.run from run_state s where s.owner = p_dead and s.started is not null and s.finished is null and not waits_only_v1(s)
    order by s.run limit p_n for no key update skip locked
  ), b as (
    update run_state s set owner = p_worker, owner_until = clock_timestamp() + make_interval(secs => p_claim_ms / 1000.0), epoch = s.epoch + 1,
      status = 'running', applied_seq = s.last_seq, cancel_sent = false, poked_seq = 0, poke_after = null
    from o where s.run = o.run returning s.run, s.workspace, s.total, s.epoch, s.last_seq, s.intent, s.started
  ), m as (
    update wait w set dispatched = false from o where w.run = o.run and w.kind = 'map' and not w.closed and w.dispatched and w.decision is null
  )
  select b.run, b.workspace, h.definition, h.title, h.parent, h.priority, b.total, r.mode, b.epoch, b.last_seq, b.intent, due_ms_v1(b.run),
    encode(r.plan, 'hex'), case when pg_column_size(r.input) <= 65536 then r.input end, coalesce(octet_length(r.input::text), 0), b.started
  from b join run r on r.id = b.run cross join lateral run_head_v1(b.run) h order by b.run;
end $$;`;

/** Runs that only wait: their execution is well and goes on wherever it wakes. */
const adopt = `
create function adopt_runs_v1(p_dead uuid, p_worker uuid, p_n int, p_stall_ms int) returns setof uuid language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
begin
  if not may_take_v1(p_dead, p_stall_ms) then return; end if;
  return query
  with o as (
    select s.run from run_state s where s.owner = p_dead and s.started is not null and s.finished is null and waits_only_v1(s)
    order by s.run limit p_n for no key update skip locked
  )
  update run_state s set owner = p_worker from o where s.run = o.run returning s.run;
end $$;`;

/** Claims of runs that have not begun, and duties: free at once. */
const handOver = `
create function release_worker_v1(p_worker uuid, p_stall_ms int) returns boolean language plpgsql volatile set enable_seqscan = off set lock_timeout = '2s' as $$
begin
  if not may_take_v1(p_worker, p_stall_ms) then return false; end if;
  update run_state s set owner = null, owner_until = null where s.owner = p_worker and s.started is null and s.finished is null;
  delete from lease l where l.holder = p_worker and l.run is null;
  return true;
end $$;
-- the row of a worker that is gone, once nothing is left of it
create function forget_worker_v1(p_worker uuid) returns boolean language plpgsql volatile set enable_seqscan = off as $$
begin
  if not may_take_v1(p_worker, null) then return false; end if;
  delete from worker w where w.id = p_worker and not exists (select from run_state s where s.owner = p_worker and s.started is not null and s.finished is null);
  return found;
end $$;`;
