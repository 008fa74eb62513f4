import type { Client } from '../client/createClient.ts';
import { isClosedRun, type Run } from '../client/runs.ts';
import type { Terminal } from './cli.ts';
import { CliError, EXIT } from './exit.ts';
import type { ViewOptions } from './view.ts';

export type Follow = { runId: string; after: number; json: boolean };

/** Shows a run while it goes, until it is closed or the user stops watching. @returns what it is then */
export async function followRun(client: Client, terminal: Terminal, { runId, after, json }: Follow): Promise<Run> {
  const run = await client.runs.get(runId);
  const view = json ? undefined : await chooseView(terminal, await viewOf(client, terminal, { run, after }));
  try {
    const options = { after, signal: terminal.signal, ...(view && { onConnection: view.connection }) };
    for await (const event of client.watch(runId, options)) {
      if (view) view.event(event);
      else terminal.out(`${JSON.stringify(event)}\n`);
    }
  } finally {
    view?.end();
  }
  return client.runs.get(runId);
}

/** @throws CliError when the run did not end well */
export function exitFor(run: Run): void {
  if (run.status !== 'completed' && isClosedRun(run)) throw new CliError(EXIT.failed, '');
}

async function viewOf(client: Client, terminal: Terminal, { run, after }: { run: Run; after: number }): Promise<ViewOptions> {
  const { items } = await client.runs.tasks(run.id);
  const weights = new Map(items.map(({ id, weight }) => [id, weight]));
  // who joins late does not hear what was done before
  const percent = after > 0 ? (run.percent ?? 0) : 0;
  return { out: terminal.out, total: run.counts.total, title: run.workflow.name, weights, percent };
}

async function chooseView(terminal: Terminal, options: ViewOptions) {
  if (terminal.live) return (await import('./barView.ts')).barView(options, process.stdout);
  return (await import('./plainView.ts')).plainView(options);
}
