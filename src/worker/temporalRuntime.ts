import { Runtime, type Logger, type LogLevel, type LogMetadata } from '@temporalio/worker';
import type { Log } from '../runtime/logger.ts';

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

let installed = false;

/**
 * Installs Temporal's runtime once per process, before any connection: quiet (its core warns of every retried poll), into our log, and without its own signal
 * handlers, because the order in which things end is ours.
 */
export function installTemporalRuntime(log: Log): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: forwardTo(log.child({ part: 'temporal' })),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
}

/** Temporal's text is the message, its fields stay fields. Below WARN it says what our own events say already. */
export function forwardTo(log: Log): Logger {
  const write = (level: LogLevel, message: string, meta?: LogMetadata) => {
    if (level !== 'WARN' && level !== 'ERROR') return;
    log[LEVELS[level]]({ ...meta }, message);
  };
  return {
    log: write,
    trace: () => undefined,
    debug: () => undefined,
    info: () => undefined,
    warn: (message, meta) => {
      write('WARN', message, meta);
    },
    error: (message, meta) => {
      write('ERROR', message, meta);
    },
  };
}
