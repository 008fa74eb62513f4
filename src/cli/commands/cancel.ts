import { Command } from 'commander';
import type { Cli } from '../cli.ts';

export const cancelCommand = (cli: Cli): Command =>
  new Command('cancel')
    .description('ask a run to end; a second time forces it')
    .argument('<run>', 'id of the run')
    .option('--reason <text>', 'why, for the log')
    .action(async (runId: string, options: { reason?: string }) => {
      await cli.connect().runs.cancel(runId, options);
      cli.terminal.out(`asked ${runId} to end\n`);
    });
