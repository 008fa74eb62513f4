import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';

const AGAIN_MS = 10_000;

/** Logs a fault that repeats with every try (a database that is down) once per 10 s and kind of error. */
export function createFaultLog(deps: { log: Log; clock: Clock }, event: string): (error: unknown) => void {
  const last = new Map<string, number>();
  return (error) => {
    const { name, code } = error as { name?: string; code?: string | number };
    const kind = `${name ?? typeof error} ${code ?? ''}`;
    const now = deps.clock.now();
    if (now - (last.get(kind) ?? -Infinity) < AGAIN_MS) return;
    last.set(kind, now);
    deps.log.error({ err: error }, event);
  };
}
