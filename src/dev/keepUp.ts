import type { Stoppable } from './process.ts';

export type Kept = { stop: () => Promise<void> };
export type KeepUpDeps = {
  /** Told of each crash and restart. */
  say: (line: string) => void;
  /** Told of the process whenever it is another one. */
  onStart: (name: string, pid: number) => void;
};

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** After this long a crash counts as the first again. */
const STEADY_MS = 30_000;

/** Starts a part and starts it again whenever it ends by itself, with growing pauses. @throws Error of the first start */
export async function keepUp(deps: KeepUpDeps, part: { name: string; start: () => Promise<Stoppable> }): Promise<Kept> {
  const stopping = new AbortController();
  const isStopping = () => stopping.signal.aborted;
  let current = await part.start();
  deps.onStart(part.name, current.pid);
  const watching = (async () => {
    for (let crashes = 0; ;) {
      const since = Date.now();
      await current.exited;
      if (isStopping()) return;
      crashes = Date.now() - since > STEADY_MS ? 1 : crashes + 1;
      const next = await startAgain(deps, { ...part, crashes, signal: stopping.signal });
      if (!next) return;
      current = next;
      deps.onStart(part.name, current.pid);
      if (isStopping()) await current.stop();
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await current.stop();
      await watching;
    },
  };
}

type Again = { name: string; start: () => Promise<Stoppable>; crashes: number; signal: AbortSignal };

/** Tries until it is up, or until it is to stop. */
async function startAgain(deps: KeepUpDeps, again: Again): Promise<Stoppable | undefined> {
  for (let tries = again.crashes; ; tries++) {
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1));
    deps.say(`${again.name} has ended, starting it again in ${pauseMs / 1000} s`);
    await pause(pauseMs, again.signal);
    if (again.signal.aborted) return undefined;
    try {
      return await again.start();
    } catch (error) {
      deps.say(error instanceof Error ? error.message : String(error));
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
