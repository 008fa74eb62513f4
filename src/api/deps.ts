import type { Database } from '../db/database.ts';
import type { Config } from '../runtime/config.ts';
import type { Actor } from '../domain/access/can.ts';

export type Log = {
  info: (fields: object, event: string) => void;
  warn: (fields: object, event: string) => void;
  error: (fields: object, event: string) => void;
};

/** Built by main.ts alone. */
export type Deps = {
  config: Config;
  db: Database;
  /** @throws Problem unauthenticated */
  authenticate: (token: string | undefined) => Promise<Actor>;
  log: Log;
  /** ms since the epoch */
  clock: () => number;
};
