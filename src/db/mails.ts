import type { Rows } from './transaction.ts';

/** A mail that waits to be handed over: its text opens accounts, so it is encrypted. */
export type WaitingMail = {
  id: string;
  tries: number;
  key_id: string;
  sealed: Buffer;
  /** ms since the epoch */
  until: number;
};

export type NewMail = {
  id: string;
  /** Whose data it is, if anybody's: it goes with them. */
  account: string | null;
  keyId: string;
  sealed: Buffer;
  /** ms since the epoch */
  now: number;
  /** Is of no use after it, ms. */
  ttlMs: number;
  /** How many may wait. */
  max: number;
};

/** Puts a mail into the queue, with what it tells of when `db` is a transaction. @returns false = `max` wait */
export async function addMail(db: Rows, mail: NewMail): Promise<boolean> {
  const rows = await db.rows({
    name: 'mail_add',
    text: `insert into mail (id, account, key_id, sealed, due, until)
      select $1, $2, $3, $4, $5, $6 where (select count(*) from (select from mail limit $7) m) < $7 returning 1`,
    values: [mail.id, mail.account, mail.keyId, mail.sealed, new Date(mail.now), new Date(mail.now + mail.ttlMs), mail.max],
  });
  return rows.length > 0;
}

/** Takes the mail that is due first: it is nobody else's for the lease, and due again after it. @param at.now ms since the epoch */
export async function claimMail(db: Rows, at: { now: number; leaseMs: number }): Promise<WaitingMail | undefined> {
  const [mail] = await db.rows<WaitingMail>({
    name: 'mail_claim',
    text: `update mail set due = $2, tries = tries + 1 where id = (
        select id from mail where due <= $1 order by due, id limit 1 for update skip locked)
      returning id, tries, key_id, sealed, extract(epoch from until)::float8 * 1000 as until`,
    values: [new Date(at.now), new Date(at.now + at.leaseMs)],
  });
  return mail;
}

/** Of the try that it was claimed for; a later one, by somebody else, stays. */
type Claimed = Pick<WaitingMail, 'id' | 'tries'>;

/** It has been handed over, or is given up. */
export async function removeMail(db: Rows, { id, tries }: Claimed): Promise<void> {
  await db.rows({ name: 'mail_remove', text: 'delete from mail where id = $1 and tries = $2', values: [id, tries] });
}

/** It is tried again. @param at ms since the epoch */
export async function postponeMail(db: Rows, { id, tries }: Claimed, at: number): Promise<void> {
  await db.rows({
    name: 'mail_postpone',
    text: 'update mail set due = $3 where id = $1 and tries = $2',
    values: [id, tries, new Date(at)],
  });
}
