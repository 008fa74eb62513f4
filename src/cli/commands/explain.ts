import { Command } from 'commander';
import type { Explanation } from '../../client/runs.ts';
import type { Cli } from '../cli.ts';

export const explainCommand = (cli: Cli): Command =>
  new Command('explain')
    .description('say what a run waits for')
    .argument('<run>', 'id of the run')
    .option('--json', 'as JSON')
    .action(async (runId: string, { json }: { json?: true }) => {
      const explanation = await cli.connect().runs.explain(runId);
      if (json) cli.terminal.out(`${JSON.stringify(explanation, null, 2)}\n`);
      else cli.terminal.out(`${explanation.status}\n${explanation.waitsFor.map((cause) => `  ${line(cause)}\n`).join('')}`);
    });

function line(cause: Explanation['waitsFor'][number]): string {
  const until = cause.untilAt === undefined ? '' : `, until ${cause.untilAt}`;
  const held = cause.holders === undefined || cause.holders.length === 0 ? '' : `, held by ${cause.holders.join(', ')}`;
  return `${cause.kind.padEnd(13)}  ${cause.message}${until}${held}`;
}
