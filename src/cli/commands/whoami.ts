import { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { whoLines } from '../whoLines.ts';

export const whoamiCommand = (cli: Cli): Command =>
  new Command('whoami')
    .description('who you are to the service, where you act, and what you may do there')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: true }) => {
      const client = cli.connect();
      const who = await client.auth.whoami();
      if (json) cli.terminal.out(`${JSON.stringify(who, null, 2)}\n`);
      else
        cli.terminal.out(
          [...whoLines(who, client.baseUrl), line('may', who.permissions), line('to their own', who.ownPermissions)].flat().join('\n') +
            '\n',
        );
    });

const line = (what: string, actions: readonly string[]): string[] => (actions.length === 0 ? [] : [`${what}: ${actions.join(' ')}`]);
