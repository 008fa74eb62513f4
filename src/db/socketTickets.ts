import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/** Keeps the hash of a ticket, and drops those that nobody used. @param ticket.expires ms since the epoch */
export async function insertTicket(db: Rows, ticket: { hash: Buffer; session: string; now: number; expires: number }): Promise<void> {
  await db.rows({
    name: 'ticket_insert',
    text: `with gone as (delete from socket_ticket where expires < to_timestamp($3::float8 / 1000))
      insert into socket_ticket (hash, session, expires) values ($1, $2, to_timestamp($4::float8 / 1000))`,
    values: [ticket.hash, ticket.session, ticket.now, ticket.expires],
  });
}

/** The session of a ticket, once. */
export async function redeemTicket(db: Rows, ticket: { hash: Buffer; now: number }): Promise<string | undefined> {
  const rows = await db.rows<{ session: string }>({
    name: 'ticket_redeem',
    text: 'delete from socket_ticket where hash = $1 and expires > to_timestamp($2::float8 / 1000) returning session',
    values: [ticket.hash, ticket.now],
  });
  return rows[0]?.session;
}
