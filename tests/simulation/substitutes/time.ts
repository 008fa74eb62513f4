import type { Clock } from '../clock.ts';

let clock: Clock | undefined;

/** All timers of the product, from now on, are timers of this clock. */
export const useClock = (next: Clock): void => {
  clock = next;
};

let stopped: number | undefined;

/** What `Date.now` says until it is undefined again, ms of the clock: workflows live in the time of their history. */
export const stopTime = (now: number | undefined): void => {
  stopped = now;
};

const EPOCH_MS = Date.UTC(2026, 10, 25);
/** An event loop turns in no time at all, but never at the same instant. */
const TURN_MS = 0.01;

type Timer = { cancel: () => void; unref: () => Timer; ref: () => Timer };

const theClock = (): Clock => {
  if (!clock) throw new Error('no world has begun');
  return clock;
};

function timer(ms: number, run: () => void): Timer {
  const handle: Timer = { cancel: theClock().after(ms, run), unref: () => handle, ref: () => handle };
  return handle;
}

function interval(ms: number, run: () => void): Timer {
  const handle: Timer = { cancel: () => undefined, unref: () => handle, ref: () => handle };
  const again = (): void => {
    handle.cancel = theClock().after(ms, () => {
      again();
      run();
    });
  };
  again();
  return handle;
}

function timedSignal(ms: number): AbortSignal {
  const controller = new AbortController();
  timer(ms, () => {
    controller.abort();
  });
  return controller.signal;
}

type Callback = (...args: unknown[]) => void;
const clear = (handle?: Timer): void => handle?.cancel();

/** Replaces the global timers and clocks of this process. @returns the real way to let the event loop turn */
export function installTime(): typeof setImmediate {
  const real = globalThis.setImmediate;
  Object.assign(globalThis, {
    setTimeout: (run: Callback, ms = 1, ...args: unknown[]) =>
      timer(ms, () => {
        run(...args);
      }),
    setInterval: (run: Callback, ms = 1, ...args: unknown[]) =>
      interval(ms, () => {
        run(...args);
      }),
    setImmediate: (run: Callback, ...args: unknown[]) =>
      timer(TURN_MS, () => {
        run(...args);
      }),
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
  });
  Object.assign(Date, { now: () => EPOCH_MS + (stopped ?? theClock().now()) });
  Object.assign(performance, { now: () => theClock().now() });
  Object.assign(process.memoryUsage, { rss: () => 0 }); // a system call that every worker makes each second
  Object.assign(AbortSignal, { timeout: timedSignal });
  return real;
}
