import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Terminal } from './cli.ts';

/** The terminal of a process. Ctrl-C and kill fire its signal; the second time the process ends without waiting for anything. */
export function processTerminal(process: NodeJS.Process): Terminal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
    });
  }
  // The reader of a pipe may have had enough (`tiu events RUN | head`): then nobody is left to tell.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    read: () => text(process.stdin),
    pause: async (ms) => {
      await sleep(ms, undefined, { signal: stop.signal });
    },
    live: process.stdout.isTTY && process.env.TERM !== 'dumb' && process.env.CI === undefined,
    env: process.env,
    cwd: process.cwd(),
    signal: stop.signal,
  };
}
