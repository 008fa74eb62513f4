import { execFileSync } from 'node:child_process';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestEnvironment } from 'jest-environment-node';

const WATCHED = new Set(['TCPSocketWrap', 'TCPServerWrap', 'ProcessWrap', 'PipeWrap']);
/** Sockets that were closed need a few turns of the event loop until they are gone. */
const GRACE_MS = 3_000;

// Where suites run beside each other this process has pipes, which are opened when they are first used: now, not in some suite.
for (const stream of [process.stdout, process.stderr]) stream.write('');
process.stdin.pause();

/** The environment of every suite: one that leaves a child process, a server or a connection behind has failed. */
export default class LeakGuard extends TestEnvironment {
  readonly #before = leftovers();

  async handleTestEvent(event: { name: string }): Promise<void> {
    if (event.name !== 'run_finish') return;
    const until = Date.now() + GRACE_MS;
    for (;;) {
      const leaked = without(leftovers(), this.#before);
      if (leaked.length === 0) return;
      if (Date.now() > until) throw new Error(`this suite leaves behind: ${leaked.join(', ')} (open: ${connections().join(', ')})`);
      await sleep(50);
    }
  }
}

/** Living child processes, and what keeps the event loop alive. */
function leftovers(): string[] {
  const processes = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' }).split('\n');
  const children = processes
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, state, command]) => parent === String(process.pid) && !state?.startsWith('Z') && command !== 'ps')
    .map(([pid, , , ...command]) => `process ${pid ?? ''} (${command.join(' ').slice(0, 80)})`);
  return [...children, ...process.getActiveResourcesInfo().filter((name) => WATCHED.has(name))];
}

/** Ports of open connections, by which a leak is found. */
function connections(): string[] {
  const handles = (process as unknown as { _getActiveHandles: () => object[] })._getActiveHandles();
  return handles.flatMap((handle) =>
    handle instanceof Socket && handle.remotePort ? [`${handle.localPort} to ${handle.remotePort}`] : [],
  );
}

/** What is in `now` more often than in `before`. */
function without(now: string[], before: string[]): string[] {
  const known = [...before];
  return now.filter((entry) => {
    const at = known.indexOf(entry);
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}
