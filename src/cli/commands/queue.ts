import { Command } from 'commander';
import type { QueuedRun } from '../../client/queue.ts';
import type { Cli } from '../cli.ts';
import { wholeNumber } from '../wholeNumber.ts';

export const queueCommand = (cli: Cli): Command =>
  new Command('queue')
    .description('list queued runs, in the order in which they start')
    .option('--limit <count>', 'how many', wholeNumber, 20)
    .option('--json', 'as JSON')
    .action(async ({ json, limit }: { limit: number; json?: true }) => {
      const { items } = await cli.connect().queue.list({ limit });
      if (json) cli.terminal.out(`${JSON.stringify(items, null, 2)}\n`);
      else if (items.length === 0) cli.terminal.out('no run is queued\n');
      else for (const run of items) cli.terminal.out(`${line(run)}\n`);
    });

function line(run: QueuedRun): string {
  const key = run.concurrency === null ? '' : `  ${run.concurrency.key}`;
  return `${`${run.position}`.padStart(5)}  ${run.id}  ${run.priority.padEnd(8)}  ${run.createdAt}  ${run.reason.padEnd(13)}  ${run.workflow}${key}`;
}
