import { randomUUIDv7 } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { firstHour } from './firstHour.ts';
import { startStack, type Stack } from './stack.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const USAGE = 'usage: npm start -- [--workers N]   N from 1 to 32';

process.exitCode = await main(process.argv.slice(2));

/** Keeps a stack up until a signal. Resolves to the exit code. */
async function main(args: string[]): Promise<number> {
  const workers = readWorkers(args);
  if (workers === undefined) return print(USAGE, 2);
  const stopping = new AbortController();
  const asked = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        stopping.abort(new Error('stopped while starting'));
        done();
      });
  });
  const since = Date.now();
  try {
    const { TIU_STATE: state } = process.env;
    const stack = await startStack({
      root: ROOT,
      ...(state ? { state: path.resolve(state) } : {}),
      workers,
      signal: stopping.signal,
      say: print,
    });
    print(greeting(stack, Date.now() - since));
    await asked;
    print('stopping');
    await stack.stop();
    return 0;
  } catch (error) {
    return print(`stack: ${error instanceof Error ? error.message : String(error)}`, stopping.signal.aborted ? 130 : 1);
  }
}

function readWorkers(args: string[]): number | undefined {
  try {
    const { values } = parseArgs({ args, options: { workers: { type: 'string', default: '1' } } });
    const workers = Number(values.workers);
    return Number.isInteger(workers) && workers >= 1 && workers <= 32 ? workers : undefined;
  } catch {
    return undefined;
  }
}

function greeting(stack: Stack, tookMs: number): string {
  const { submit, follow, cancel } = firstHour(stack, randomUUIDv7());
  return `
ready after ${(tookMs / 1000).toFixed(1)} s, Ctrl-C stops everything

  API            ${stack.api}/api/v1
  API docs       ${stack.api}/api/docs
  Temporal UI    ${stack.temporalUi}

Start a run and wait a second for it:

${submit}

Follow its events, then cancel it from another terminal:

${follow}

${cancel}
`;
}

function print<T>(text: string, result?: T): T {
  process.stdout.write(`${text}\n`);
  return result as T;
}
