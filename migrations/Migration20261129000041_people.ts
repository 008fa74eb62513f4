import { Migration } from '@mikro-orm/migrations';

/** What people say of themselves. */
export class Migration20261129000041_people extends Migration {
  override name = 'Migration20261129000041_people';

  override up(): void {
    for (const statement of [profiles]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** preferences: whatever clients keep there. settings: what the product goes by, of a closed schema. */
const profiles = `
alter table account add column bio text, add column avatar_url text, add column preferences json, add column settings json;`;
