import { Command } from 'commander';
import type { Client } from '../../client/createClient.ts';
import type { RunEvent } from '../../domain/run/events.ts';
import type { Cli, Terminal } from '../cli.ts';
import { wholeNumber } from '../wholeNumber.ts';

type Options = { after: number; follow?: true; json?: true };

export const eventsCommand = (cli: Cli): Command =>
  new Command('events')
    .description('print the log of a run')
    .argument('<run>', 'id of the run')
    .option('--after <seq>', 'number of the last event already known', wholeNumber, 0)
    .option('--follow', 'go on until the run is closed')
    .option('--json', 'one event a line, as JSON')
    .action(async (runId: string, options: Options) => {
      const client = cli.connect();
      const events = options.follow
        ? client.watch(runId, { after: options.after, signal: cli.terminal.signal })
        : stored(client, runId, options.after);
      for await (const event of events) print(cli.terminal, event, options.json ?? false);
    });

async function* stored(client: Client, runId: string, after: number): AsyncGenerator<RunEvent> {
  for (let last = after; ;) {
    const page = await client.runs.events(runId, { after: last });
    yield* page.items as RunEvent[];
    const next = page.items.at(-1)?.seq;
    if (next === undefined) return;
    last = next;
  }
}

function print(terminal: Terminal, event: RunEvent, json: boolean): void {
  const subject = event.task === undefined ? '' : `${event.task}${event.item === undefined || event.item < 0 ? '' : `[${event.item}]`}`;
  const data = event.data === undefined ? '' : JSON.stringify(event.data);
  terminal.out(
    json
      ? `${JSON.stringify(event)}\n`
      : `${`${event.seq}`.padStart(5)}  ${event.at}  ${event.type.padEnd(16)}  ${subject}  ${data}`.trimEnd() + '\n',
  );
}
