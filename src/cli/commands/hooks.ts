import { Command, Option } from 'commander';
import type { Hook } from '../../client/hooks.ts';
import { HOOK_LIMITS, HOOK_SCHEMES, type HookScheme } from '../../domain/hook/hook.ts';
import type { Cli } from '../cli.ts';
import { withSubcommands, type Say } from '../subcommands.ts';
import { wholeNumber } from '../wholeNumber.ts';

type Set = { event: string; key: string; secret: string; scheme: HookScheme; tolerance: number };

/** `tiu hooks …` */
export const hooksCommand = (cli: Cli): Command => {
  const hooks = new Command('hooks').description('make events of what others post, signed');
  return withSubcommands(cli, hooks, (own, say) => [set(own, say), remove(own, say), list(own, say)]);
};

const set = (cli: Cli, say: Say): Command =>
  new Command('set')
    .description('make a hook, or change one; prints the address to post to')
    .argument('<name>', 'what it is called')
    .requiredOption('--event <name>', 'name of the events')
    .requiredOption('--secret <name>', 'secret of the workspace that deliveries are signed with')
    .option('--key <text>', 'key of the events, such as ${payload.order}', '')
    .addOption(new Option('--scheme <scheme>', 'how they are signed').choices(HOOK_SCHEMES).default(HOOK_SCHEMES[0]))
    .option('--tolerance <seconds>', 'how old or early they may be', wholeNumber, HOOK_LIMITS.toleranceSeconds)
    .action(async (name: string, { event, key, secret, scheme, tolerance }: Set) => {
      const body = { event: { name: event, key }, secret, scheme, toleranceSeconds: tolerance };
      const client = cli.connect();
      const { links } = await client.hooks.set(name, body);
      say(`${client.baseUrl}${links.deliver}`);
    });

const remove = (cli: Cli, say: Say): Command =>
  new Command('delete')
    .description('delete a hook; its events stay')
    .argument('<name>', 'its name')
    .action(async (name: string) => {
      await cli.connect().hooks.delete(name);
      say(`deleted ${name}`);
    });

const list = (cli: Cli, say: Say): Command =>
  new Command('list')
    .description('hooks by name')
    .option('--limit <count>', 'how many', wholeNumber, 50)
    .option('--json', 'as JSON')
    .action(async ({ json, limit }: { limit: number; json?: true }) => {
      const { items } = await cli.connect().hooks.list({ limit });
      if (json) say(JSON.stringify(items, null, 2));
      else if (items.length === 0) say('no hooks');
      else for (const hook of items) say(line(hook));
    });

const line = ({ name, event, scheme, secret, links }: Hook): string =>
  `${name}  ${event.name}${event.key === '' ? '' : `  key ${event.key}`}  ${scheme}  secret ${secret}  ${links.deliver}`;
