import { Command } from 'commander';
import type { Client } from '../../client/createClient.ts';
import type { ForkRun } from '../../client/runs.ts';
import type { Cli } from '../cli.ts';
import { readInputs } from '../readInputs.ts';
import { uploadAll } from '../uploadAll.ts';

type Options = { from: string[]; input: string[]; definition?: string; reason?: string; preview?: true; json?: true };

export const forkCommand = (cli: Cli): Command =>
  new Command('fork')
    .description('start a run with what a closed one has done')
    .argument('<run>', 'id of the run that has ended')
    .option('--from <task>', 'a task that runs again, with all that depends on it', collect, [])
    .option(
      '-i, --input <key=value>',
      'the whole input anew: a value (JSON if it parses, else text), @file.json for all of them, a path where an artifact is wanted (uploaded, for a preview too)',
      collect,
      [],
    )
    .option('--definition <file>', 'another definition: what differs in it runs again')
    .option('--reason <text>', 'why, for the log')
    .option('--preview', 'say what would run again and why, and do nothing')
    .option('--json', 'print the answer as a line of JSON')
    .action(async (runId: string, options: Options) => {
      const client = cli.connect();
      const { runs } = client;
      const body = await bodyOf(cli, client, { runId, options });
      if (options.preview) {
        const preview = await runs.previewFork(runId, body);
        cli.terminal.out(options.json ? `${JSON.stringify(preview)}\n` : linesOf(preview).join(''));
        return;
      }
      const run = await runs.fork(runId, body);
      cli.terminal.out(options.json ? `${JSON.stringify(run)}\n` : `run ${run.id}; follow it with: tiu watch ${run.id}\n`);
    });

async function bodyOf({ terminal }: Cli, client: Client, { runId, options }: { runId: string; options: Options }): Promise<ForkRun> {
  const { from, input, definition, reason } = options;
  const edited = definition === undefined ? undefined : (await import('../readDefinitionFile.ts')).readDefinitionFile(terminal, definition);
  const say = options.json ? terminal.err : terminal.out;
  const given = async () => {
    // what holds an artifact says the file, or the definition of the source
    const fields = edited?.artifactFields ?? new Set((await client.runs.previewFork(runId, {})).artifactInputs);
    const inputs = readInputs(input, fields, terminal.cwd);
    return { ...inputs.input, ...(await uploadAll(client, inputs, { say, cwd: terminal.cwd })) };
  };
  return {
    ...(from.length > 0 && { from }),
    ...(input.length > 0 && { input: await given() }),
    ...(edited && { definition: edited.text }),
    ...(reason !== undefined && { reason }),
  };
}

type Preview = { again: string[]; kept: string[]; repeatedEffects: string[]; why: Record<string, string> };

const linesOf = ({ again, kept, repeatedEffects, why }: Preview): string[] => [
  ...again.map((id) => `again  ${id}: ${why[id] ?? ''}${repeatedEffects.includes(id) ? ' (an effect that is repeated)' : ''}\n`),
  ...kept.map((id) => `kept   ${id}\n`),
];

const collect = (value: string, before: string[]): string[] => [...before, value];
