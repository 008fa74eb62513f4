import type { Database } from './database.ts';
import { HEAD, type RunHeadRow } from './dispatch.ts';

type Rows = Pick<Database, 'rows'>;

/** `claim`: which claim it is, for `forgetTold`. */
export type UntoldRow = RunHeadRow & { claim: string };

/**
 * Runs that were not told of a command other than a cancel, of an event or the end of a child: at once, then every 2 s until
 * they are forgotten. At most 100.
 */
export function claimUntold(db: Rows): Promise<UntoldRow[]> {
  return db.rows<UntoldRow>({
    name: 'claim_untold',
    text: `select ${HEAD}, s.claim from claim_untold_v1(100) s cross join lateral run_head_v1(s.run) h`,
    values: [],
  });
}

/** Temporal has taken the signals of these claims. Runs of which something was asked since then remain to be told. */
export async function forgetTold(db: Rows, told: readonly { runId: string; claim: string }[]): Promise<void> {
  if (told.length === 0) return;
  await db.rows({
    name: 'told',
    text: 'select told_v1($1, $2)',
    values: [told.map(({ runId }) => runId), told.map(({ claim }) => claim)],
  });
}
