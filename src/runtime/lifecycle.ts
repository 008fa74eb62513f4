import type { Log } from './logger.ts';

export type Lifecycle = {
  /** Aborted as soon as the process begins to stop. */
  stopping: AbortSignal;
  /** Registers what has to end; the last one registered ends first. */
  onStop: (name: string, stop: () => Promise<void> | void) => void;
  /** Ends everything, once. Never throws: a part that fails to end is logged, and the others end all the same. */
  stop: (reason: string) => Promise<void>;
};

/** Ordered end of a process: dependents before what they depend on. */
export function createLifecycle(deps: { log: Log }): Lifecycle {
  const parts: { name: string; stop: () => Promise<void> | void }[] = [];
  const controller = new AbortController();
  let stopped: Promise<void> | undefined;
  const stopAll = async () => {
    for (const part of parts.reverse()) {
      try {
        await part.stop();
      } catch (error) {
        deps.log.error({ err: error, part: part.name }, 'stop.failed');
      }
    }
  };
  return {
    stopping: controller.signal,
    onStop: (name, stop) => {
      parts.push({ name, stop });
    },
    stop: (reason) => {
      if (!stopped) {
        deps.log.info({ reason }, 'process.stopping');
        controller.abort();
        stopped = stopAll();
      }
      return stopped;
    },
  };
}

/**
 * Stops on SIGINT and SIGTERM and then ends the process: code 0, or 1 when it took longer than `timeoutMs` or was asked twice.
 * An error that nobody caught stops it too, with code 1.
 */
export function stopOnSignals(deps: { lifecycle: Lifecycle; log: Log }, timeoutMs: number): void {
  const { lifecycle, log } = deps;
  const end = (reason: string, code: number) => {
    if (lifecycle.stopping.aborted) process.exit(1);
    setTimeout(() => {
      log.error({ timeoutMs }, 'stop.timed_out');
      process.exit(1);
    }, timeoutMs).unref();
    void lifecycle.stop(reason).then(() => process.exit(code));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      end(signal, 0);
    });
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'process.uncaught');
    end('uncaught error', 1);
  });
}
