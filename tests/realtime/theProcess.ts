import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';
import { NODE_FLAGS } from '../../src/dev/nodeFlags.ts';
import { stopProcess } from '../../src/dev/process.ts';

export type ApiProcess = {
  url: string;
  pid: number;
  rss: () => Promise<number>;
  stop: (signal?: NodeJS.Signals) => Promise<number | null>;
};

const alive = new Set<ChildProcess>();

/** For the end of a suite: what a failed test did not get to stop. */
export async function stopLeftOvers(): Promise<void> {
  await Promise.all([...alive].map((child) => stopProcess(child, 'SIGKILL')));
}

/** `src/api/main.ts` as a process of its own. */
export async function anApiProcess(env: Record<string, string>): Promise<ApiProcess> {
  const child = spawn(process.execPath, [...NODE_FLAGS.api, 'src/api/main.ts'], {
    env: { PATH: process.env.PATH, TIU_PORT: '0', TIU_LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  alive.add(child);
  const exited = once(child, 'exit').then(() => alive.delete(child));
  const [line] = (await once(readline.createInterface(child.stdout), 'line')) as [string];
  const { url } = JSON.parse(line) as { ready: true; url: string };
  const { readFile } = await import('node:fs/promises');
  return {
    url,
    pid: child.pid ?? 0,
    rss: async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1]) * 1024,
    stop: async (signal = 'SIGTERM') => {
      await stopProcess(child, signal);
      await exited;
      return child.exitCode;
    },
  };
}
