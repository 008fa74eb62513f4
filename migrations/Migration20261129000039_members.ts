import { Migration } from '@mikro-orm/migrations';

/** What holds of members and roles whoever writes them, and invitations. */
export class Migration20261129000039_members extends Migration {
  override name = 'Migration20261129000039_members';

  override up(): void {
    for (const statement of [owners, roles, projects, transfers, invitations, security]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * Every workspace keeps an owner whose grant has no end and who may sign in. The row of the workspace is locked before the others
 * are counted, so that of two who leave at once the second one sees that the first has gone. Nobody keeps one that is being deleted.
 */
const owners = `
alter table workspace add column closing timestamptz(3);
create function keep_an_owner_v1() returns trigger language plpgsql as $$
declare v_closing timestamptz;
begin
  if old.role <> 'owner' or old.expires is not null then return case when tg_op = 'DELETE' then old else new end; end if;
  if tg_op = 'UPDATE' and new.role = 'owner' and new.expires is null then return new; end if;
  select closing into v_closing from workspace where id = old.workspace for no key update;
  if v_closing is null and not exists (select from membership m join account a on a.id = m.account and a.status = 'active'
    where m.workspace = old.workspace and m.account <> old.account and m.role = 'owner' and m.expires is null) then
    raise exception using errcode = 'TU411', message = 'a workspace keeps an owner';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger membership_owner before update or delete on membership for each row execute function keep_an_owner_v1();`;

/** A role that is granted is there, and one that is held stays: the grant locks what the deletion takes away. */
const roles = `
create function granted_role_v1() returns trigger language plpgsql as $$
begin
  if new.role in ('viewer', 'developer', 'project_manager', 'community_moderator', 'admin', 'owner') then return new; end if;
  perform from role where workspace = new.workspace and name = new.role for key share;
  if not found then raise exception using errcode = 'TU412', message = 'there is no such role'; end if;
  return new;
end $$;
create trigger membership_role before insert or update of role on membership for each row execute function granted_role_v1();
create trigger project_member_role before insert or update of role on project_member for each row execute function granted_role_v1();
create function held_role_v1() returns trigger language plpgsql as $$
begin
  if exists (select from membership where workspace = old.workspace and role = old.name and (expires is null or expires > clock_timestamp()))
    or exists (select from project_member where workspace = old.workspace and role = old.name and (expires is null or expires > clock_timestamp()))
    or exists (select from invitation where workspace = old.workspace and role = old.name and settled is null and expires > clock_timestamp()) then
    raise exception using errcode = 'TU413', message = 'the role is held';
  end if;
  return old;
end $$;
create trigger role_held before delete on role for each row execute function held_role_v1();`;

/**
 * Who leaves a workspace leaves its projects: a project's grant locks the membership that the deletion takes away. closed_runs_v1: as in
 * Migration20261129000024_fork, with the project and the owner of a run, which decide about rights.
 */
const projects = `
create function left_workspace_v1() returns trigger language plpgsql as $$
begin
  delete from project_member where workspace = old.workspace and account = old.account;
  return null;
end $$;
create trigger membership_left after delete on membership for each row execute function left_workspace_v1();
create or replace function closed_runs_v1(p_runs uuid[]) returns setof json language plpgsql stable
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
begin
  return query select row_to_json(v) from (
    select r.id, r.workspace, r.definition, r.definition_number, encode(r.plan, 'hex') as plan, r.priority, r.mode, r.labels, r.forked_from, r.created, r.created_by,
      s.status, s.reason, s.intent, s.total, s.open, s.failed, s.last_seq, s.not_before, s.deadline, s.started, s.finished, s.failure, r.parent,
      (select json_agg(c) from (select t.status, count(*)::int as n from (
          select distinct on (k.task) k.status from task k where k.run = r.id and k.item = -1 order by k.task, k.generation desc) t group by 1) c
        where s.started is not null) as counts,
      o.output::text as output, encode(o.output_ref, 'hex') as output_ref, o.output_size, r.project, r.created_by as owner
    from run_state s join run r on r.id = s.run left join run_output o on o.run = s.run where s.run = any(p_runs) and s.finished is not null) v;
end $$;`;

/**
 * transfer_to: to whom the workspace is offered, by whom, until when. Accepted, the other one is its owner and who gave it an admin.
 * What was offered by somebody who is its owner no longer is not given.
 */
const transfers = `
alter table workspace add column created_by text, add column version int not null default 1, add column transfer_to uuid references account,
  add column transfer_by uuid references account, add column transfer_until timestamptz(3);
create function accept_transfer_v1(p_ws uuid, p_account uuid, p_audit uuid) returns boolean language plpgsql volatile as $$
declare v_by uuid; v_now timestamptz := clock_timestamp();
begin
  select transfer_by into v_by from workspace where id = p_ws and transfer_to = p_account and transfer_until > v_now for no key update;
  if not found or not exists (select from membership where workspace = p_ws and account = v_by and role = 'owner' and (expires is null or expires > v_now)) then return false; end if;
  update membership set role = 'owner', expires = null, granted_by = 'user:' || v_by, granted = v_now, version = version + 1
    where workspace = p_ws and account = p_account and (expires is null or expires > v_now);
  if not found then return false; end if;
  update membership set role = 'admin', expires = null, granted_by = 'user:' || p_account, granted = v_now, version = version + 1 where workspace = p_ws and account = v_by;
  update workspace set transfer_to = null, transfer_by = null, transfer_until = null, version = version + 1 where id = p_ws;
  insert into audit (id, workspace, actor, action, subject, data, at)
    values (p_audit, p_ws, 'user:' || p_account, 'workspace.transferred', 'workspace:' || p_ws, json_build_object('before', 'user:' || v_by, 'after', 'user:' || p_account), v_now);
  return true;
end $$;`;

/**
 * Its token stands in one_time. role: in the workspace. projects: [{ "project": id, "role": name }], besides. operator: also owner of the
 * system workspace, of the one that the first start makes. mailed: the link went to the address alone, so that who has it has the mailbox.
 * settled: when it was accepted or revoked. What somebody has invited to ends when they leave or get another role.
 */
const invitations = `
create table invitation (workspace uuid not null references workspace, id uuid not null unique, email text, mailed boolean not null default false, role text collate "C" not null,
  projects json not null, operator boolean not null default false, created timestamptz(3) not null, created_by text not null, expires timestamptz(3) not null,
  settled timestamptz(3), outcome text check (outcome in ('accepted', 'revoked')), account uuid references account, primary key (workspace, id));
create index invitation_by on invitation (workspace, created_by) where settled is null;
create function inviter_changed_v1() returns trigger language plpgsql as $$
begin
  update invitation set settled = clock_timestamp(), outcome = 'revoked' where workspace = old.workspace and created_by = 'user:' || old.account and settled is null;
  return null;
end $$;
create trigger membership_inviter after delete or update of role on membership for each row execute function inviter_changed_v1();
create trigger invitation_role before insert on invitation for each row execute function granted_role_v1();
grant select, insert, update, delete on invitation to tiu_engine, tiu_api;`;

const security = ['invitation']
  .map(
    (table) => `
alter table ${table} enable row level security;
create policy engine on ${table} to tiu_engine using (true) with check (true);
create policy own_workspace on ${table} to tiu_api using (workspace = current_setting('tiu.workspace')::uuid) with check (workspace = current_setting('tiu.workspace')::uuid);`,
  )
  .join('');
