import { Migration } from '@mikro-orm/migrations';

/** What rights, quotas and the audit of them were missing. */
export class Migration20261129000042_rights extends Migration {
  override name = 'Migration20261129000042_rights';

  override up(): void {
    for (const statement of [events, places]) this.addSql(statement);
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
