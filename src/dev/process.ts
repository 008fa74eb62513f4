import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/**
 * What a process is started as that has to stand back when the machine is busy: runs are accepted at once, and carried with
 * what is left. By the command, because a priority set from outside would only reach the threads there are.
 */
export const standingBack = (command: string, args: readonly string[]): [command: string, args: string[]] => [
  'nice',
  ['-n', '5', command, ...args],
];

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
