import { Migration } from '@mikro-orm/migrations';

/** What the API reads live. */
export class Migration20261125000009_live extends Migration {
  override name = 'Migration20261125000009_live';

  override up(): void {
    this.addSql(acceptedAt);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/**
 * When the runs of the submit that the same statement has called were accepted, so that their answers need no second
 * statement. Volatile: it sees what the call before it wrote. One submit gives all its runs one time; null: it made none.
 */
const acceptedAt = `
create function accepted_at_v1(p_runs uuid[]) returns timestamptz language plpgsql volatile set enable_seqscan = off as $$
begin
  return (select r.created from unnest(p_runs) s(id) join run r on r.id = s.id where r.xmin = pg_current_xact_id()::xid limit 1);
end $$;`;
