import { Command } from 'commander';
import { ApiProblem } from '../../client/apiProblem.ts';
import { createClient } from '../../client/createClient.ts';
import type { Cli } from '../cli.ts';
import { openCredentials } from '../credentials.ts';
import { CliError } from '../exit.ts';
import { storedToken } from '../storedToken.ts';

export const logoutCommand = (cli: Cli): Command =>
  new Command('logout')
    .description('end the session of `tiu login` at the service, and forget it; a key is only forgotten')
    .action(async () => {
      const baseUrl = cli.place();
      const credentials = openCredentials(cli.terminal.env);
      const kept = credentials?.of(baseUrl);
      if (!credentials || !kept) {
        cli.terminal.out(`not signed in at ${baseUrl}\n`);
        return;
      }
      // what cannot be ended now is kept, so that it can be ended later
      if (kept.type === 'session') await endSession(baseUrl, storedToken(credentials, baseUrl));
      await credentials.change(baseUrl, () => Promise.resolve(undefined));
      cli.terminal.out(`signed out of ${baseUrl}\n`);
    });

async function endSession(baseUrl: string, token: () => Promise<string>): Promise<void> {
  try {
    await createClient({ baseUrl, token }).auth.logout();
  } catch (error) {
    const isOver = error instanceof CliError || (error instanceof ApiProblem && error.code === 'unauthenticated');
    if (!isOver) throw error;
  }
}
