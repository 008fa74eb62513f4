import { pino, type DestinationStream, type Logger } from 'pino';
import type { Config } from './config.ts';

/** One line per fact: fields first, then the name of the event. `log.info({ runId, taskId }, 'task.retried')` */
export type Log = Logger;

/** Fields that may hold a secret, wherever they are: alone, or one or two objects deep. */
const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'secrets',
  'apiKey',
  'accessToken',
  'url',
  ...['DATABASE_URL', 'TIU_SMTP_URL', 'TIU_WEBHOOK_KEYS'],
];
const REDACTED = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);

/** JSON lines on standard error, so that standard output stays free for what a program has to say. */
export function createLogger(
  options: { name: string; level: Config['TIU_LOG_LEVEL'] },
  stream: DestinationStream = pino.destination({ fd: 2, sync: true }),
): Log {
  return pino(
    {
      name: options.name,
      level: options.level,
      redact: { paths: REDACTED, censor: '[redacted]' },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: errorFields, error: errorFields },
    },
    stream,
  );
}

/** What is worth knowing of an error: statements and parameters of the database stay out. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: errorFields(error.cause) }),
  };
}
