import type { Database } from './database.ts';
import { int4, text } from './encode.ts';

/** What is asked of one bucket. No bucket twice in a statement. */
export type RateAsk = {
  class: string;
  key: string;
  limit: number;
  seconds: number;
  /** Tokens that were spent already; below 0: given back. */
  debt: number;
  /** Tokens wanted; as many are granted as there are. */
  want: number;
};

/** `nextMs`: until there is a token; `fullMs`: until all of them are there. */
export type RateGrant = { granted: number; remaining: number; nextMs: number; fullMs: number };

type Row = { i: number; granted: number; remaining: number; next_ms: number; full_ms: number };

/** Takes tokens of many buckets in one statement, each atomically. @returns in the order of `asks` */
export async function takeRates(db: Pick<Database, 'rows'>, asks: readonly RateAsk[]): Promise<RateGrant[]> {
  const rows = await db.rows<Row>({
    name: 'rate_take',
    text: 'select * from rate_take_v1($1, $2, $3, $4, $5, $6)',
    values: [
      text(asks.map((ask) => ask.class)),
      text(asks.map((ask) => ask.key)),
      int4(asks.map((ask) => ask.limit)),
      int4(asks.map((ask) => ask.seconds)),
      int4(asks.map((ask) => ask.debt)),
      int4(asks.map((ask) => ask.want)),
    ],
  });
  return rows
    .sort((a, b) => a.i - b.i)
    .map((row) => ({ granted: row.granted, remaining: row.remaining, nextMs: row.next_ms, fullMs: row.full_ms }));
}

/** Takes away buckets that have been full for a minute: as good as none. @returns how many */
export async function sweepRates(db: Pick<Database, 'rows'>): Promise<number> {
  const rows = await db.rows({
    name: 'rate_sweep',
    text: `delete from rate_bucket where ctid = any (array(select ctid from rate_bucket
      where full_at < extract(epoch from clock_timestamp()) - 60 limit 10000 for update skip locked)) returning 1`,
    values: [],
  });
  return rows.length;
}
