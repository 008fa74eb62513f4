import type { Client } from '../client/createClient.ts';
import type { Run } from '../client/runs.ts';
import { duration } from './duration.ts';

/** Some lines about a closed run: what it became, how long it took, what it gave. */
export async function summary(client: Client, run: Run): Promise<string> {
  const took =
    run.startedAt === null || run.finishedAt === null ? '' : ` in ${duration(Date.parse(run.finishedAt) - Date.parse(run.startedAt))}`;
  const why = run.failure === null ? '' : `: ${run.failure.code}, ${run.failure.message}`;
  const output = run.status === 'completed' ? (await client.runs.output(run.id)).output : null;
  const shown = output === null ? '' : `${JSON.stringify(output, null, 2)}\n`;
  return `${run.status}${took}${why}\n${shown}`;
}
