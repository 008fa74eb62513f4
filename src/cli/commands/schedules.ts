import { Command } from 'commander';
import type { Schedule } from '../../client/schedules.ts';
import type { Cli } from '../cli.ts';
import { withSubcommands, type Say } from '../subcommands.ts';
import { wholeNumber } from '../wholeNumber.ts';

type Create = { cron?: string; every?: string; timeZone?: string; overlap?: Schedule['overlap']; input?: string };

/** `tiu schedules …`: a schedule is named by its name or its id. */
export const schedulesCommand = (cli: Cli): Command =>
  withSubcommands(cli, new Command('schedules').description('start runs of stored workflows at times'), (...given) => [
    ...changing(...given),
    ...reading(...given),
  ]);

const changing = (cli: Cli, say: Say): Command[] => [
  new Command('create')
    .description('make a schedule of a stored workflow')
    .argument('<name>', 'what it is called')
    .argument('<workflow>', 'name of the workflow')
    .option('--cron <line>', 'five fields, or @daily and its like')
    .option('--every <duration>', 'such as PT5M')
    .option('--time-zone <name>', 'of the cron line, such as Europe/Berlin')
    .option('--overlap <policy>', 'while an earlier run is open: skip, bufferOne, bufferAll, cancelOther, terminateOther, allowAll')
    .option('--input <json>', 'input of its runs')
    .action(async (name: string, workflow: string, { cron, every, timeZone, overlap, input }: Create) => {
      const spec = { ...(cron && { cron }), ...(every && { interval: every }), ...(timeZone && { timeZone }) };
      const body = {
        name,
        workflow: { name: workflow },
        spec,
        ...(overlap && { overlap }),
        ...(input && { input: JSON.parse(input) as unknown }),
      };
      say(line(await cli.connect().schedules.create(body)));
    }),
  ...(['pause', 'unpause'] as const).map((verb) =>
    new Command(verb)
      .description(verb === 'pause' ? 'fire no more' : 'fire again')
      .argument('<schedule>', 'name or id')
      .option('--note <text>', 'why')
      .action(async (id: string, options: { note?: string }) => {
        say(line(await cli.connect().schedules[verb](id, options)));
      }),
  ),
  new Command('trigger')
    .description('fire now')
    .argument('<schedule>', 'name or id')
    .action(async (id: string) => {
      const { runId, status } = await cli.connect().schedules.trigger(id);
      say(runId === null ? status : `run ${runId}`);
    }),
  new Command('backfill')
    .description('make runs for times that have passed and have none')
    .argument('<schedule>', 'name or id')
    .argument('<from>', 'time, such as 2026-11-01T00:00:00Z')
    .argument('<until>', 'time; both count')
    .action(async (id: string, startAt: string, endAt: string) => {
      const { times, accepted } = await cli.connect().schedules.backfill(id, { startAt, endAt, overlap: 'bufferAll' });
      say(`${accepted} of ${times} times get a run`);
    }),
  new Command('delete')
    .description('delete a schedule; its runs stay')
    .argument('<schedule>', 'name or id')
    .action(async (id: string) => {
      await cli.connect().schedules.delete(id);
      say(`deleted ${id}`);
    }),
];

const reading = (cli: Cli, say: Say): Command[] => [
  new Command('list')
    .description('schedules by name')
    .option('--limit <count>', 'how many', wholeNumber, 50)
    .option('--json', 'as JSON')
    .action(async ({ json, ...query }: { limit: number; json?: true }) => {
      const { items } = await cli.connect().schedules.list(query);
      if (json) say(JSON.stringify(items, null, 2));
      else if (items.length === 0) say('no schedules');
      else for (const schedule of items) say(line(schedule));
    }),
  new Command('next')
    .description('the next times it fires')
    .argument('<schedule>', 'name or id')
    .option('--count <count>', 'how many', wholeNumber, 10)
    .action(async (id: string, query: { count: number }) => {
      for (const time of (await cli.connect().schedules.next(id, query)).items) say(time);
    }),
  new Command('fires')
    .description('what became of its times, the newest first')
    .argument('<schedule>', 'name or id')
    .option('--limit <count>', 'how many', wholeNumber, 20)
    .action(async (id: string, query: { limit: number }) => {
      const { items } = await cli.connect().schedules.fires(id, query);
      for (const { at, status, kind, runId, failure } of items)
        say(`${at}  ${status.padEnd(8)}  ${kind.padEnd(8)}  ${runId ?? failure?.code ?? ''}`);
    }),
];

const line = (schedule: Schedule): string =>
  `${schedule.name}  ${schedule.workflow.name}  ${schedule.paused ? `paused${schedule.note === null ? '' : ` (${schedule.note})`}` : `next ${schedule.nextFireAt ?? 'never'}`}`;
