import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export type Stoppable = { pid: number; exited: Promise<void>; stop: () => Promise<void> };

/** Asks a process of ours to end, then insists after `graceMs`. Resolves when it has ended. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals, graceMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}
