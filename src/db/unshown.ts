import type { Database } from './database.ts';
import { HEAD, type RunHeadRow } from './dispatch.ts';

type Rows = Pick<Database, 'rows'>;

/** `asked`: how often its execution was told to look before. */
export type UnshownRow = RunHeadRow & { asked: number };

/**
 * Runs that ended where they stood and whose executions have not learned of it, each to be told now. One that has learned is
 * forgotten by what it reads; one that has not is told again after 10 s, then later and later.
 * @param most of those told within the last 10 s, by whichever worker
 */
export function claimUnshown(db: Rows, most: number): Promise<UnshownRow[]> {
  return db.rows<UnshownRow>({
    name: 'claim_unshown',
    text: `select ${HEAD}, s.asked from claim_unshown_v1($1) s cross join lateral run_head_v1(s.run) h`,
    values: [most],
  });
}

/** There is no execution any more that could learn of it. */
export async function forgetUnshown(db: Rows, run: string): Promise<void> {
  await db.rows({ name: 'forget_unshown', text: 'delete from unshown where run = $1', values: [run] });
}
