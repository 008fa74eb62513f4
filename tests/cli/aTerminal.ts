import { runCli } from '../../src/cli/runCli.ts';

export type Result = { code: number; out: string; err: string };

/** Runs a command line in this process and keeps what it prints. */
export async function tiu(
  args: string[],
  options: { env?: Record<string, string>; cwd?: string; input?: string; signal?: AbortSignal; pause?: (ms: number) => Promise<void> } = {},
): Promise<Result> {
  const result = { out: '', err: '' };
  const code = await runCli(args, {
    out: (text) => (result.out += text),
    err: (text) => (result.err += text),
    read: () => Promise.resolve(options.input ?? ''),
    pause: options.pause ?? (() => Promise.resolve()),
    live: false,
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, ...result };
}
