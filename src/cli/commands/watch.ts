import { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { exitFor, followRun } from '../followRun.ts';
import { wholeNumber } from '../wholeNumber.ts';

export const watchCommand = (cli: Cli): Command =>
  new Command('watch')
    .description('follow a run to its end')
    .argument('<run>', 'id of the run')
    .option('--after <seq>', 'number of the last event already known', wholeNumber, 0)
    .option('--json', 'one event a line, as JSON')
    .action(async (runId: string, options: { after: number; json?: true }) => {
      const client = cli.connect();
      const run = await followRun(client, cli.terminal, { runId, after: options.after, json: options.json ?? false });
      exitFor(run);
    });
