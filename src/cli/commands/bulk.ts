import { Command, Option } from 'commander';
import type { BulkJob, StartBulk } from '../../client/bulk.ts';
import { RUN_STATUSES } from '../../domain/plan/outcome.ts';
import type { Cli } from '../cli.ts';
import { withSubcommands, type Say } from '../subcommands.ts';
import { wholeNumber } from '../wholeNumber.ts';

type Type = StartBulk['command']['type'];
type Filter = StartBulk['filter'];
type Chosen = Pick<StartBulk['command'], 'reason' | 'force'> & Filter;

const DESCRIPTIONS: { readonly [type in Type]: string } = {
  cancel: 'ask all runs of a filter to end',
  pause: 'begin nothing new in all runs of a filter',
  resume: 'go on with all paused runs of a filter',
  retry: 'open all runs of a filter that did not complete again',
};
const TYPES = Object.keys(DESCRIPTIONS) as Type[];

/** `tiu bulk …`. Nothing happens to a run without `--yes`: before that, the runs are counted. */
export const bulkCommand = (cli: Cli): Command =>
  withSubcommands(cli, new Command('bulk').description('one command for all runs of a filter'), (...given) => [
    ...TYPES.map((type) => giving(type, ...given)),
    ...following(...given),
  ]);

function giving(type: Type, cli: Cli, say: Say): Command {
  const command = new Command(type)
    .description(DESCRIPTIONS[type])
    .addOption(new Option('--status <status...>', 'only these').choices(RUN_STATUSES))
    .option('--workflow <name>', 'only of this definition')
    .option('--label <name:value...>', 'only with all of these labels')
    .option('--since <time>', 'only those accepted since then, ISO 8601')
    .option('--reason <text>', 'why, for the log')
    .option('--preview', 'only count the runs, as without --yes')
    .option('--yes', 'do it')
    .action(async ({ yes, preview, ...chosen }: Chosen & { yes?: true; preview?: true }) => {
      const { bulk } = cli.connect();
      const body = bodyOf(type, chosen);
      if (yes && !preview) {
        say(line(await bulk.start(body)));
        return;
      }
      const { count, more } = await bulk.preview(body);
      say(`${more ? 'more than ' : ''}${count} ${count === 1 ? 'run' : 'runs'}; --yes gives ${count === 1 ? 'it' : 'them'} the command`);
    });
  return type === 'cancel' ? command.option('--force', 'end tasks at work too, without cleaning up') : command;
}

function bodyOf(type: Type, { reason, force, status, workflow, label, since }: Chosen): StartBulk {
  const filter = { ...(status && { status }), ...(workflow && { workflow }), ...(label && { label }), ...(since && { since }) };
  return { filter, command: { type, ...(reason && { reason }), ...(force && { force }) } };
}

const following = (cli: Cli, say: Say): Command[] => [
  new Command('show')
    .description('what a job has done so far')
    .argument('<job>', 'its id')
    .action(async (id: string) => {
      say(line(await cli.connect().bulk.get(id)));
    }),
  new Command('abort')
    .description('end a job: no further run gets its command')
    .argument('<job>', 'its id')
    .action(async (id: string) => {
      say(line(await cli.connect().bulk.abort(id)));
    }),
  new Command('list')
    .description('list jobs, the newest first')
    .option('--limit <count>', 'how many', wholeNumber, 20)
    .action(async (query: { limit: number }) => {
      for (const job of (await cli.connect().bulk.list(query)).items) say(line(job));
    }),
];

function line({ id, status, command, createdAt, ...job }: BulkJob): string {
  const refused = Object.entries(job.refused).map(([code, n]) => `, ${n} ${code}`);
  return `${id}  ${status.padEnd(9)}  ${command.type.padEnd(6)}  ${createdAt}  ${job.done} of ${job.more ? 'more than ' : ''}${job.count}: ${job.applied} applied${refused.join('')}`;
}
