import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Where Linux groups processes by session, a nice value counts only inside of its group: the group has one of its own. */
const BACK = `[ "$1" = own ] && echo 10 2>/dev/null >/proc/self/autogroup; shift; exec nice -n 5 "$@"`;

/**
 * What a process is started as that has to stand back when the machine is busy: runs are accepted at once, and carried with
 * what is left. By the command, because a priority set from outside would only reach the threads there are.
 * @param session `own` if it is started in one of its own (detached): only then may the group be changed
 */
export const standingBack = (command: string, args: readonly string[], session: 'own' | 'shared'): [command: string, args: string[]] => [
  '/bin/sh',
  ['-c', BACK, 'sh', session, command, ...args],
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
