import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import readline from 'node:readline';
import type { Guard } from './guard.ts';
import { standingBack, stopProcess, type Stoppable } from './process.ts';

export type ServiceOptions = {
  /** A TypeScript file that prints one line of JSON with `ready: true` when it serves. */
  script: string;
  env: Record<string, string | undefined>;
  /** Flags for node. */
  flags?: readonly string[];
  logFile: string;
  /** A worker carries runs before it is ready, which is when it has reached Temporal. */
  until?: 'ready' | 'carries';
  /** Others go first when the machine is busy. */
  standsBack?: boolean;
  guard?: Guard;
};
/** `line` is the line that said it is ready. */
export type Service = Stoppable & { line: { ready: true; url?: string; name?: string } };

const START_MS = 60_000;
const LOG_BYTES = 8 * 2 ** 20;

/** Starts a process of ours and waits until it is ready. What it prints goes to `logFile`. @throws Error with the end of it */
export async function startService(options: ServiceOptions): Promise<Service> {
  const log = openLog(options.logFile);
  const args = ['--disable-warning=ExperimentalWarning', ...(options.flags ?? []), options.script];
  const session = options.guard === undefined ? 'shared' : 'own';
  const child = spawn(...(options.standsBack ? standingBack(process.execPath, args, session) : ([process.execPath, args] as const)), {
    env: options.env,
    stdio: ['ignore', 'pipe', log],
    detached: options.guard !== undefined,
  });
  const { stdout } = child as ChildProcessByStdio<null, Readable, null>;
  options.guard?.adopt(child, 'SIGTERM');
  const exited = once(child, 'exit').then(
    () => undefined,
    () => undefined,
  );
  const line = await new Promise<Service['line']>((ready, failed) => {
    const fail = (reason: string) => {
      child.kill('SIGKILL');
      failed(new Error(`${path.basename(path.dirname(options.script))} ${reason}:\n${endOf(options.logFile)}`));
    };
    const timer = setTimeout(fail, START_MS, `was not ready after ${START_MS / 1000} s`);
    readline.createInterface({ input: stdout }).on('line', (text) => {
      fs.appendFileSync(options.logFile, `${text}\n`);
      const said = readyLine(text, options.until ?? 'ready');
      if (!said) return;
      clearTimeout(timer);
      ready(said);
    });
    child.once('error', failed);
    void exited.then(() => {
      clearTimeout(timer);
      fail(`ended with ${String(child.exitCode ?? child.signalCode)}`);
    });
  });
  fs.closeSync(log);
  return { line, pid: child.pid ?? 0, exited, stop: () => stopProcess(child, 'SIGTERM', 20_000) };
}

function readyLine(text: string, until: 'ready' | 'carries'): Service['line'] | undefined {
  if (!text.startsWith('{"ready":true') && !(until === 'carries' && text.startsWith('{"carries":true'))) return undefined;
  return { ...(JSON.parse(text) as Service['line']), ready: true };
}

/** Opened for appending; a long one is put aside first. */
function openLog(file: string): number {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  if (fs.existsSync(file) && fs.statSync(file).size > LOG_BYTES) fs.renameSync(file, `${file}.1`);
  return fs.openSync(file, 'a', 0o600);
}

const endOf = (file: string): string => fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(-25).join('\n');
