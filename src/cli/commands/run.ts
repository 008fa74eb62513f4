import { Command, Option } from 'commander';
import type { Client } from '../../client/createClient.ts';
import { isClosedRun, type Run, type StartRun } from '../../client/runs.ts';
import { STRATEGIES } from '../../domain/plan/plan.ts';
import type { Cli, Terminal } from '../cli.ts';
import { exitFor, followRun } from '../followRun.ts';
import { readInputs } from '../readInputs.ts';
import { summary } from '../summary.ts';
import { uploadAll } from '../uploadAll.ts';
import { wholeNumber } from '../wholeNumber.ts';

type Options = {
  input: string[];
  strategy?: NonNullable<StartRun['strategy']>;
  maxConcurrency?: number;
  watch?: true;
  wait?: number;
  json?: true;
};

export const runCommand = (cli: Cli): Command =>
  new Command('run')
    .description('start a run of a definition')
    .argument('<file>', 'YAML or JSON file')
    .option(
      '-i, --input <key=value>',
      'a value (JSON if it parses, else text), @file.json for all of them, a path where an artifact is wanted',
      collect,
      [],
    )
    .addOption(new Option('--strategy <name>', 'in which order its tasks begin, instead of what the definition says').choices(STRATEGIES))
    .option('--max-concurrency <n>', 'how many of its tasks are at work at once, instead of what the definition says', wholeNumber)
    .option('-w, --watch', 'follow it to its end')
    .option('--wait <seconds>', 'wait so long for its end', wholeNumber)
    .option('--json', 'print the run (with --watch also each event) as a line of JSON')
    .action(async (file: string, options: Options) => {
      const { terminal } = cli;
      const { readDefinitionFile } = await import('../readDefinitionFile.ts'); // the parser and the checker take a while to load
      const { text, artifactFields } = readDefinitionFile(terminal, file);
      const inputs = readInputs(options.input, artifactFields, terminal.cwd);
      const client = cli.connect();
      const say = options.json ? terminal.err : terminal.out;
      const input = { ...inputs.input, ...(await uploadAll(client, inputs, { say, cwd: terminal.cwd })) };
      const { strategy, maxConcurrency } = options;
      const started = await client.runs.start({
        definition: text,
        input,
        ...(strategy && { strategy }),
        ...(maxConcurrency !== undefined && { maxConcurrency }),
      });
      say(`run ${started.id}\n`);
      await finish(client, terminal, { started, options });
    });

async function finish(client: Client, terminal: Terminal, { started, options }: { started: Run; options: Options }): Promise<void> {
  const run = await reached(client, terminal, { runId: started.id, options });
  if (options.json) terminal.out(`${JSON.stringify(run)}\n`);
  else if (isClosedRun(run)) terminal.out(await summary(client, run));
  else terminal.out(`${run.status}; follow it with: tiu watch ${run.id}\n`);
  exitFor(run);
}

/** The run when it has closed, or as long as the options say. */
async function reached(client: Client, terminal: Terminal, { runId, options }: { runId: string; options: Options }): Promise<Run> {
  if (options.watch) return followRun(client, terminal, { runId, after: 0, json: options.json ?? false });
  if (options.wait === undefined) return client.runs.get(runId);
  const signal = AbortSignal.any([terminal.signal, AbortSignal.timeout(options.wait * 1000)]);
  return client.runs.wait(runId, { signal });
}

const collect = (value: string, before: string[]): string[] => [...before, value];
