import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import type { Readable } from 'node:stream';
import type { StackRecord } from '../../src/dev/stackFile.ts';

/** `npm start` with its state in a folder of its own. */
export type StartedStack = { supervisor: ChildProcessByStdio<null, Readable, Readable>; printed: string[]; tookMs: number };

export function aStateFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-state-'));
  fs.chmodSync(folder, 0o755);
  return folder;
}

/** Resolves when the stack has printed everything it prints when ready, or has ended. */
export async function start(state: string, args: string[] = []): Promise<StartedStack> {
  const env: NodeJS.ProcessEnv = { ...process.env, TIU_STATE: state };
  delete env.DATABASE_URL;
  delete env.TEMPORAL_ADDRESS;
  const since = Date.now();
  const supervisor = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/dev/main.ts', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  const ready = new Promise<void>((done) => {
    readline.createInterface({ input: supervisor.stdout }).on('line', (line) => {
      printed.push(line);
      if (line.includes('/cancel')) done();
    });
  });
  supervisor.stderr.on('data', (text: Buffer) => printed.push(text.toString()));
  await Promise.race([ready, once(supervisor, 'close')]);
  return { supervisor, printed, tookMs: Date.now() - since };
}

export const recordOf = (state: string): StackRecord => JSON.parse(fs.readFileSync(path.join(state, 'stack.json'), 'utf8')) as StackRecord;

export function isRunning(pid: number): boolean {
  return !/^(Z.*)?$/.test(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim());
}
