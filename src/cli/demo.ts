import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, type Client } from '../client/createClient.ts';
import { isClosedRun, type Run } from '../client/runs.ts';
import { startStack, type Stack } from '../dev/stack.ts';
import { duration } from './duration.ts';
import { count } from './count.ts';
import { CliError, EXIT } from './exit.ts';
import { followRun } from './followRun.ts';
import { processTerminal } from './processTerminal.ts';
import { startReceiver, type Receiver } from './receiver.ts';
import { uploadPath } from './uploadPath.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const REPORT_LINES = 12;
/** What shells say of a process that Ctrl-C ended. */
const INTERRUPTED = 130;

/** What the definition `examples/review-codebase.yaml` gives. */
type Review = {
  headline: string;
  totals: { files: number; checked: number; unreadable: number; lines: number; issues: number; errors: number; score: number };
  worst: { path: string; score: number; findings: number }[];
  report: { sha256: string };
};

const terminal = processTerminal(process);
process.exitCode = await demo(process.argv.slice(2));

/** Starts a stack, has it review a folder, shows the result and stops. Resolves to the exit code. */
async function demo(args: string[]): Promise<number> {
  const since = Date.now();
  const source = readSource(args);
  if (source === undefined) return EXIT.usage;
  const receiver = await startReceiver();
  let stack: Stack | undefined;
  try {
    terminal.out('starting the stack\n');
    const { TIU_STATE: state } = terminal.env;
    const env = { TIU_HTTP_ALLOW: receiver.address };
    stack = await startStack({ root: ROOT, ...(state ? { state: path.resolve(state) } : {}), env, signal: terminal.signal });
    terminal.out(`the stack is up after ${duration(Date.now() - since)}\n`);
    const run = await review(createClient({ baseUrl: stack.api, token: stack.key }), { source, receiver });
    if (!isClosedRun(run)) return INTERRUPTED;
    terminal.out(`Everything took ${duration(Date.now() - since)}.\n`);
    return run.status === 'completed' ? EXIT.ok : EXIT.failed;
  } catch (error) {
    if (terminal.signal.aborted) return INTERRUPTED;
    terminal.err(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof CliError ? error.exitCode : EXIT.failed;
  } finally {
    await receiver.stop();
    await stack?.stop();
  }
}

/** @returns the folder to review; undefined when the arguments name none */
function readSource(args: string[]): string | undefined {
  try {
    const { values } = parseArgs({ args, options: { source: { type: 'string', default: path.join(ROOT, 'src') } } });
    const source = path.resolve(values.source);
    if (fs.existsSync(source)) return source;
    terminal.err(`demo: there is no folder ${source}\n`);
  } catch (error) {
    terminal.err(`demo: ${error instanceof Error ? error.message : String(error)}\nusage: npm run demo -- [--source DIR]\n`);
  }
  return undefined;
}

async function review(client: Client, { source, receiver }: { source: string; receiver: Receiver }): Promise<Run> {
  const uploaded = await uploadPath(client, source);
  terminal.out(`packed ${count(uploaded.files, 'file')} of ${source}, ${Math.ceil(uploaded.size / 1024)} KiB\n`);
  const definition = fs.readFileSync(path.join(ROOT, 'examples/review-codebase.yaml'), 'utf8');
  const input = { source: uploaded.sha256, level: 'strict', reportUrl: `http://${receiver.address}/report` };
  const { id } = await client.runs.start({ definition, input });
  const run = await followRun(client, terminal, { runId: id, after: 0, json: false });
  if (!isClosedRun(run)) {
    await client.runs.cancel(id, { reason: 'the demo was interrupted' });
    terminal.out('\ninterrupted: the run is cancelled\n');
    return run;
  }
  if (run.status === 'completed') await show(client, run);
  else terminal.out(`\nrun ${run.id} ${run.status}: ${run.failure?.code ?? ''} ${run.failure?.message ?? ''}\n`);
  terminal.out(`\nThe web hook was told ${receiver.received().length === 1 ? 'once' : `${receiver.received().length} times`}.\n`);
  terminal.out(`The run in the Temporal UI, while a stack is up: ${run.links.temporal}\n`);
  return run;
}

async function show(client: Client, run: Run): Promise<void> {
  const { totals, worst, headline, report } = (await client.runs.output(run.id)).output as Review;
  const took = Date.parse(run.finishedAt ?? '') - Date.parse(run.createdAt);
  terminal.out(
    `\n${headline}: ${totals.checked} of ${totals.files} files, ${totals.lines} lines, ${count(totals.issues, 'finding')} (${count(totals.errors, 'error')}), `,
  );
  terminal.out(`average score ${totals.score}, in ${duration(took)}\n`);
  if (worst.length > 0) terminal.out('worst files:\n');
  for (const file of worst.slice(0, 5)) terminal.out(`  ${file.score.toFixed(3)}  ${file.path}  ${count(file.findings, 'finding')}\n`);
  const text = new TextDecoder().decode(await client.artifacts.download(report.sha256));
  const lines = text.trimEnd().split('\n');
  terminal.out(
    `\nThe report begins:\n${lines
      .slice(0, REPORT_LINES)
      .map((line) => `  | ${line}\n`)
      .join('')}`,
  );
  if (lines.length > REPORT_LINES) terminal.out(`  | ... ${lines.length - REPORT_LINES} more lines\n`);
}
