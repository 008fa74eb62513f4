import { randomUUIDv7 } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { firstHour } from './firstHour.ts';
import { startStack, type Stack } from './stack.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const USAGE = 'usage: npm start -- [--workers N] [--apis N]   N from 1 to 32';

process.exitCode = await main(process.argv.slice(2));

/** Keeps a stack up until a signal. Resolves to the exit code. */
async function main(args: string[]): Promise<number> {
  const counts = readCounts(args);
  if (counts === undefined) return print(USAGE, 2);
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
      ...counts,
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

function readCounts(args: string[]): { workers: number; apis: number } | undefined {
  try {
    const one = { type: 'string', default: '1' } as const;
    const { values } = parseArgs({ args, options: { workers: one, apis: one } });
    const counts = { workers: Number(values.workers), apis: Number(values.apis) };
    return Object.values(counts).every((count) => Number.isInteger(count) && count >= 1 && count <= 32) ? counts : undefined;
  } catch {
    return undefined;
  }
}

function greeting(stack: Stack, tookMs: number): string {
  const { submit, follow, cancel } = firstHour(stack, randomUUIDv7());
  return `
ready after ${(tookMs / 1000).toFixed(1)} s, Ctrl-C stops everything

  API            ${stack.apis.map((api) => `${api}/api/v1`).join('\n                 ')}
  API docs       ${stack.api}/api/docs
  Temporal UI    ${stack.temporalUi}
${invited(stack)}
Start a run and wait a second for it:

${submit}

Follow its events, then cancel it from another terminal:

${follow}

${cancel}
`;
}

/** How a person becomes the owner, until one has. */
function invited({ api, invitation }: Stack): string {
  if (invitation === undefined) return '';
  const body = JSON.stringify({ token: invitation, name: 'owner', password: 'WRITE YOUR OWN' });
  return `
Become the owner, once and within 7 days, with a password of 15 characters or more:

  ${api}/invitation#token=${invitation}

  curl -sS -H 'content-type: application/json' -d '${body}' ${api}/api/v1/invitations/accept
`;
}

function print<T>(text: string, result?: T): T {
  process.stdout.write(`${text}\n`);
  return result as T;
}
