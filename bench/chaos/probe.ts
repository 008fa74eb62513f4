import { define, transform } from '../../tests/chaos/support/runs.ts';
import { until } from '../../tests/support/until.ts';
import type { Field } from './field.ts';
import type { Load } from './load.ts';
import { submitUntilAccepted } from './submits.ts';

let turn = 0;

/** Submits a run of one task and waits for its end. @returns ms from `back` (since the epoch) to its completion, by the database's clock */
export async function probe(field: Field, load: Load, back: number): Promise<number> {
  const sample = { shape: 'probe', definition: define({ a: transform(1) }), input: {}, status: 'completed' };
  const run = await submitUntilAccepted(field, sample, { api: turn++ });
  load.add(run, sample);
  const finished = await until('a run after a fault', async () => {
    const [row] = await field.cluster.rows<{ finished: Date | null }>('select finished from run_state where run = $1', [run.id]);
    return row?.finished;
  });
  return Math.max(0, finished.getTime() - back);
}
