import { Migration } from '@mikro-orm/migrations';

/** What rights, quotas and the audit of them were missing. */
export class Migration20261129000042_rights extends Migration {
  override name = 'Migration20261129000042_rights';

  override up(): void {
    for (const statement of [events, places, factors]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** What a person did and what was done to their account. Of the system workspace alone: rows of runs, which are most, cost nothing more. */
const events = `
create index audit_of_actor on audit (actor) where workspace = '00000000-0000-0000-0000-000000000000';
create index audit_of_subject on audit (subject) where workspace = '00000000-0000-0000-0000-000000000000';`;

/** Project that the runs of a schedule, or of what deliveries start, are in: an id, which stays when the project is called something else. */
const places = `
alter table schedule add column project uuid;
alter table hook_trigger add column project uuid;`;

/** Whether a workspace requires a second factor; those who are there are looked at again when that changes. */
const factors = `
alter table workspace add column require_mfa boolean not null default false;
create function workspace_rule_v1() returns trigger language plpgsql as $$
begin
  perform pg_notify('access', 'workspace:' || new.id);
  return null;
end $$;
create trigger access_workspace after update of require_mfa on workspace for each row when (old.require_mfa is distinct from new.require_mfa) execute function workspace_rule_v1();`;
