import { Migration } from '@mikro-orm/migrations';

/**
 * Audit rows say where a request came from, what it changed and whether it was refused; a chain of hashes over all of them shows
 * that none was changed, taken away, moved or put in between.
 */
export class Migration20261129000036_audit extends Migration {
  override name = 'Migration20261129000036_audit';

  override up(): void {
    for (const statement of [columns, chain, sealing, cutting, appendOnly, security, submit]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * xid: of the transaction that wrote the row; below pg_snapshot_xmin all have ended, so what is there is all there will be.
 * request, address: where it came from; functions that write rows themselves have these from audit_id_v1, for the rest of their transaction.
 * subject: the object, kind:id. code: of the problem, if it was refused.
 */
const columns = `
alter table audit add column xid xid8 not null default pg_current_xact_id(), add column result text not null default 'done', add column code text,
  add column before json, add column after json, add column request text default nullif(current_setting('tiu.request', true), ''),
  add column address text default nullif(current_setting('tiu.address', true), '');
create index audit_order on audit (xid, id);
create function audit_id_v1(p_id uuid, p_request text, p_address text) returns uuid language plpgsql volatile as $$
begin
  perform set_config('tiu.request', coalesce(p_request, ''), true), set_config('tiu.address', coalesce(p_address, ''), true);
  return p_id;
end $$;`;

/**
 * audit_seal: the place of each row in the one chain of all workspaces. audit_head: its end, signed with every batch; xid and id are
 * those of the last row that was sealed. audit_checkpoint: earlier ends that are kept (checkpoint), and the end of what retention has
 * taken away (cut, at most one): verification begins there.
 */
const chain = `
create table audit_seal (seq bigint primary key, workspace uuid not null, id uuid not null unique, hash bytea not null);
create index audit_seal_workspace on audit_seal (workspace, seq desc);
create table audit_head (one boolean primary key default true check (one), workspace uuid not null default '00000000-0000-0000-0000-000000000000',
  seq bigint not null, hash bytea not null, xid xid8 not null, id uuid not null, at timestamptz(3), key text, signature bytea) with (fillfactor = 50);
insert into audit_head (seq, hash, xid, id) values (0, decode(repeat('00', 32), 'hex'), '0', '00000000-0000-0000-0000-000000000000');
create table audit_checkpoint (seq bigint not null, kind text not null check (kind in ('checkpoint', 'cut')),
  workspace uuid not null default '00000000-0000-0000-0000-000000000000', hash bytea not null, at timestamptz(3) not null, key text, signature bytea, primary key (seq, kind));`;

/** The head is moved only from where the sealer found it: of two that want to, one does. */
const sealing = `
create function audit_seal_v1(p_seq bigint, p_hash bytea, p_xid xid8, p_ids uuid[], p_ws uuid[], p_hashes bytea[], p_at timestamptz, p_key text, p_signature bytea, p_keep boolean)
returns boolean language plpgsql volatile security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare v_n int := cardinality(p_ids); begin
  update audit_head set seq = p_seq + v_n, hash = p_hashes[v_n], xid = p_xid, id = p_ids[v_n], at = p_at, key = p_key, signature = p_signature where seq = p_seq and hash = p_hash;
  if not found then return false; end if;
  insert into audit_seal (seq, workspace, id, hash) select p_seq + x.i, x.ws, x.id, x.hash from unnest(p_ids, p_ws, p_hashes) with ordinality x(id, ws, hash, i);
  if p_keep then
    insert into audit_checkpoint (seq, kind, hash, at, key, signature) values (p_seq + v_n, 'checkpoint', p_hashes[v_n], p_at, p_key, p_signature);
  end if;
  return true;
end $$;
-- Numbers of transactions begin anew in a database that was restored from a dump: what was not sealed there is sealed next. Null: this is not one
create function audit_adopt_v1() returns bigint language plpgsql volatile security definer set search_path = public, pg_temp as $$
declare h audit_head; v_n bigint; begin
  select * into h from audit_head where xid > pg_current_xact_id() for update;
  if not found then return null; end if;
  update audit a set xid = '0' where (a.xid, a.id) > (h.xid, h.id);
  get diagnostics v_n = row_count;
  update audit_head set xid = '0', id = '00000000-0000-0000-0000-000000000000';
  return v_n;
end $$;`;

/** Takes away what was sealed up to p_seq, if all of it is older than p_before, and says where the chain begins from now on. */
const cutting = `
create function audit_cut_v1(p_seq bigint, p_hash bytea, p_before timestamptz, p_at timestamptz, p_key text, p_signature bytea)
returns int language plpgsql volatile security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare v_from bigint; v_n int; begin
  perform from audit_head for update;
  if p_before > clock_timestamp() - interval '1 day' then raise exception 'the audit keeps a day at least' using errcode = 'TU403'; end if;
  select coalesce(max(c.seq), 0) into v_from from audit_checkpoint c where c.kind = 'cut';
  if p_seq <= v_from then return 0; end if;
  if not exists (select from audit_seal s where s.seq = p_seq and s.hash = p_hash) then raise exception 'no seal says so' using errcode = 'TU403'; end if;
  if exists (select from audit_seal s join audit a on a.id = s.id where s.seq > v_from and s.seq <= p_seq and a.at >= p_before) then
    raise exception 'some of it is not as old' using errcode = 'TU403';
  end if;
  delete from audit a using audit_seal s where s.seq > v_from and s.seq <= p_seq and a.id = s.id;
  get diagnostics v_n = row_count;
  delete from audit_seal s where s.seq <= p_seq;
  delete from audit_checkpoint c where c.seq <= p_seq;
  insert into audit_checkpoint (seq, kind, hash, at, key, signature) values (p_seq, 'cut', p_hash, p_at, p_key, p_signature);
  return v_n;
end $$;`;

/** Rights first; then a trigger, for whoever was given more of them by mistake. The functions above run as the owner. */
const appendOnly = `
revoke update, delete, truncate on audit from tiu_engine, tiu_api;
revoke insert, update, delete, truncate on audit_seal, audit_head, audit_checkpoint from tiu_engine, tiu_api;
grant select on audit_seal, audit_head, audit_checkpoint to tiu_engine, tiu_api;
revoke execute on function audit_seal_v1, audit_adopt_v1, audit_cut_v1 from public;
grant execute on function audit_seal_v1, audit_adopt_v1, audit_cut_v1 to tiu_engine;
create function append_only_v1() returns trigger language plpgsql as $$
begin
  if current_user <> (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = tg_relid) then
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;
create trigger append_only before update or delete or truncate on audit for each statement execute function append_only_v1();
create trigger append_only before update or delete or truncate on audit_seal for each statement execute function append_only_v1();
create trigger append_only before update or delete or truncate on audit_checkpoint for each statement execute function append_only_v1();
create trigger append_only before update or delete or truncate on audit_head for each statement execute function append_only_v1();`;

const security = ['audit_seal', 'audit_head', 'audit_checkpoint']
  .map(
    (table) => `
alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('');

const plans = `set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s'`;

/** submit_v2 with s_request, s_address: where each came from, for the audit. */
const submit = `
create function submit_v3(
  s_run uuid[], s_ws uuid[], s_project uuid[], s_definition text[], s_number int[], s_plan bytea[], s_input json[], s_total int[], s_priority int[],
  s_labels json[], s_deadline bigint[], s_actor text[], s_audit uuid[], k_s int[], k_principal text[], k_key text[], k_hash bytea[],
  p_hash bytea[], p_body json[], l_s int[], l_name text[], l_value text[], a_s int[], a_sha bytea[],
  s_mode text[], s_ckey text[], s_climit int[], s_conflict text[], s_after text[], s_data json[], s_request text[], s_address text[])
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
    select s.* from unnest(s_run, s_ws, s_total, s_deadline, s_actor, s_audit, s_after, s_data, s_request, s_address) with ordinality
      s(run, ws, total, deadline, actor, audit, after, data, request, address, i) where v_new[s.i]),
  a as (insert into run_state (run, workspace, status, total, open, last_seq, deadline, not_before)
    select s.run, s.ws, 'queued', s.total, s.total, 1, v_now + s.deadline * interval '1 ms', s.after::timestamptz from s),
  b as (insert into label (workspace, name, value, run)
    select s_ws[l.s], l.name, l.value, s_run[l.s] from unnest(l_s, l_name, l_value) l(s, name, value) where v_new[l.s] on conflict do nothing),
  c as (insert into artifact_ref (workspace, sha256, holder, created)
    select s_ws[f.s], f.sha, 'run:' || s_run[f.s], v_now from unnest(a_s, a_sha) f(s, sha) where v_new[f.s] on conflict do nothing),
  e as (insert into run_event (run, seq, workspace, type, data, at) select s.run, 1, s.ws, 'run.accepted', s.data, v_now from s)
  insert into audit (id, workspace, actor, action, subject, at, request, address) select s.audit, s.ws, s.actor, 'run.start', 'run:' || s.run, v_now, s.request, s.address from s;
  if false = any(v_new) then
    -- a submit that lost by one of its keys leaves no other behind, unless it points to the same run
    delete from idempotency d using unnest(k_s, k_principal, k_key) k(s, principal, key)
    where not v_new[k.s] and not (v_same[k.s] and v_run[k.s] = s_run[k.s])
      and d.workspace = s_ws[k.s] and d.principal = k.principal and d.key = k.key and d.xmin = v_me;
    return query select g.i::int, case when g.same then g.run end, case when g.same then 'known' else 'conflict' end
      from unnest(v_new, v_same, v_run) with ordinality g(new, same, run, i) where not g.new;
  end if;
end $$;`;
