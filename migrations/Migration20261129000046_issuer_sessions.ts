import { Migration } from '@mikro-orm/migrations';

/** Sessions say which issuer they came from, and which of its sessions they belong to: when that ends, they do. */
export class Migration20261129000046_issuer_sessions extends Migration {
  override name = 'Migration20261129000046_issuer_sessions';

  override up(): void {
    this.addSql(sessions);
  }

  override down(): void {
    throw new Error('expand then contract: migrations are never taken back');
  }
}

/** session.issuer_sid: the claim `sid` of the ID token, which names the session there. */
const sessions = `
alter table session add column issuer text, add column issuer_sid text;
create index session_of_issuer on session (issuer, issuer_sid) where issuer is not null and ended is null;`;
