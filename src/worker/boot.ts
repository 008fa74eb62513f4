import { randomUUIDv7 } from 'node:crypto';
import os from 'node:os';
import { openSession } from '../db/session.ts';
import { readConfig, type Config } from '../runtime/config.ts';
import { createLifecycle, stopOnSignals } from '../runtime/lifecycle.ts';
import { createLogger, type Log } from '../runtime/logger.ts';

/**
 * The session comes first: from then on this worker lives in the eyes of others. What takes longer to load is loaded
 * while the database answers. @returns resolves when the worker is ready, or the process is about to end
 */
export async function boot(version: string): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger({ name: 'worker', level: config.TIU_LOG_LEVEL });
  try {
    await start({ config, log, version });
  } catch (error) {
    log.fatal({ err: error }, 'worker.not_started');
    process.exit(1);
  }
}

async function start({ config, log, version }: { config: Config; log: Log; version: string }): Promise<void> {
  const lifecycle = createLifecycle({ log });
  stopOnSignals({ lifecycle, log }, config.TIU_SHUTDOWN_GRACE + 10_000);
  const worker = { id: randomUUIDv7(), name: `${os.hostname()}-${process.pid}`, version };
  const say = (event: string, fields: Record<string, unknown>) => {
    log.warn(fields, event);
  };
  const session = openSession({ url: config.DATABASE_URL, worker: { ...worker, data: { pid: process.pid } }, log: say });
  lifecycle.onStop('session', () => session.close());
  const { serve } = await import('./serve.ts');
  const tell = (what: object) => process.stdout.write(`${JSON.stringify({ ...what, name: worker.name })}\n`);
  await serve({ config, log, lifecycle, session, onCarrying: () => void tell({ carries: true }) }, worker);
  tell({ ready: true });
}
