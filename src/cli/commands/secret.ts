import { Command } from 'commander';
import type { Secret } from '../../client/secrets.ts';
import type { Cli } from '../cli.ts';
import { withSubcommands, type Say } from '../subcommands.ts';
import { wholeNumber } from '../wholeNumber.ts';

/** `tiu secret …`. A value comes from standard input: arguments are seen by every process of the machine, and kept by shells. */
export const secretCommand = (cli: Cli): Command =>
  withSubcommands(cli, new Command('secret').description('what tasks may send and nobody may read'), (...given) => [
    ...changing(...given),
    list(...given),
  ]);

const changing = (cli: Cli, say: Say): Command[] => [
  new Command('set')
    .description('set a secret to what standard input holds, without the line break at its end')
    .argument('<name>', 'what tasks call it: ${secrets.name}')
    .action(async (name: string) => {
      say(line(await cli.connect().secrets.set(name, (await cli.terminal.read()).replace(/\r?\n$/, ''))));
    }),
  new Command('delete')
    .description('delete a secret; attempts that begin later fail')
    .argument('<name>', 'its name')
    .action(async (name: string) => {
      await cli.connect().secrets.delete(name);
      say(`deleted ${name}`);
    }),
  new Command('reencrypt').description('encrypt with the current key what older keys encrypted').action(async () => {
    const { keyId, rewritten, unreadable } = await cli.connect().secrets.reencrypt();
    say(`${rewritten} now under ${keyId}`);
    for (const { name, code, keyId: other } of unreadable) say(`${name}  stays under ${other}: ${code}`);
  }),
];

const list = (cli: Cli, say: Say): Command =>
  new Command('list')
    .description('secrets by name, without their values')
    .option('--limit <count>', 'how many', wholeNumber, 50)
    .option('--json', 'as JSON')
    .action(async ({ json, limit }: { limit: number; json?: true }) => {
      const { items } = await cli.connect().secrets.list({ limit });
      if (json) say(JSON.stringify(items, null, 2));
      else if (items.length === 0) say('no secrets');
      else for (const secret of items) say(line(secret));
    });

const line = ({ name, version, keyId, updatedAt, updatedBy }: Secret): string =>
  `${name}  version ${version}  key ${keyId}  ${updatedAt}  ${updatedBy}`;
