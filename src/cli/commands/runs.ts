import { Command, Option } from 'commander';
import type { Run } from '../../client/runs.ts';
import { RUN_STATUSES, type RunStatus } from '../../domain/plan/outcome.ts';
import type { Cli } from '../cli.ts';
import { duration } from '../duration.ts';
import { wholeNumber } from '../wholeNumber.ts';

export const runsCommand = (cli: Cli): Command =>
  new Command('runs')
    .description('list runs, the newest first')
    .addOption(new Option('--status <status>', 'only these').choices(RUN_STATUSES))
    .option('--limit <count>', 'how many', wholeNumber, 20)
    .option('--json', 'as JSON')
    .action(async ({ json, ...query }: { status?: RunStatus; limit: number; json?: true }) => {
      const { items } = await cli.connect().runs.list(query);
      if (json) cli.terminal.out(`${JSON.stringify(items, null, 2)}\n`);
      else if (items.length === 0) cli.terminal.out('no runs\n');
      else for (const run of items) cli.terminal.out(`${line(run)}\n`);
    });

function line(run: Run): string {
  const took = run.startedAt === null || run.finishedAt === null ? '' : duration(Date.parse(run.finishedAt) - Date.parse(run.startedAt));
  return `${run.id}  ${run.status.padEnd(9)}  ${run.createdAt}  ${took.padStart(10)}  ${run.workflow.name}${run.failure ? `  ${run.failure.code}` : ''}`;
}
