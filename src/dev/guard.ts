import { spawn, type ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';

export type Guard = {
  /** From now on the process ends when this one does, however this one ends. `signal` asks it to. */
  adopt: (child: ChildProcess, signal: NodeJS.Signals) => void;
  close: () => void;
};

/** Reads `+ SIGNAL PID` and `- SIGNAL PID`. At the end of input it asks what is left to end, and after 10 s insists. */
const SCRIPT = `
trap '' HUP INT TERM
live=
while read -r what signal pid; do
  if [ "$what" = + ]; then live="$live $signal:$pid"; continue; fi
  rest=
  for entry in $live; do [ "\${entry#*:}" = "$pid" ] || rest="$rest $entry"; done
  live=$rest
done
for entry in $live; do kill -s "\${entry%%:*}" "\${entry#*:}" 2>/dev/null; done
tries=0
while [ $tries -lt 100 ]; do
  some=
  for entry in $live; do kill -0 "\${entry#*:}" 2>/dev/null && some=yes; done
  [ -z "$some" ] && exit 0
  sleep 0.1
  tries=$((tries + 1))
done
for entry in $live; do kill -s KILL "\${entry#*:}" 2>/dev/null; done
`;

/**
 * A shell (1 MB) that outlives this process and ends its children if it could not: after a kill -9 nobody else would.
 * PostgreSQL and Temporal do not watch a parent.
 */
export function createGuard(): Guard {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'tiu-guard'], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  const stdin: Writable & { unref?: () => void } = shell.stdin; // a pipe of Node is a socket
  shell.unref();
  stdin.unref?.();
  stdin.on('error', () => undefined); // without its guard a stack still runs
  const tell = (what: '+' | '-', signal: NodeJS.Signals, pid: number) => {
    if (stdin.writable) stdin.write(`${what} ${signal.slice(3)} ${pid}\n`);
  };
  return {
    adopt: (child, signal) => {
      const { pid } = child;
      if (pid === undefined) return;
      tell('+', signal, pid);
      child.once('exit', () => {
        tell('-', signal, pid);
      });
    },
    close: () => {
      stdin.end();
    },
  };
}
