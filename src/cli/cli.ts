import type { Client } from '../client/createClient.ts';
import type { Found } from './connection.ts';

/** Where the command reads and writes: the process, or a test. */
export type Terminal = {
  out: (text: string) => void;
  err: (text: string) => void;
  /** All of standard input. */
  read: () => Promise<string>;
  /** Kept after so long, ms; sooner, by an AbortError, when the signal fires. */
  pause: (ms: number) => Promise<void>;
  /** Whether standard output is a terminal, so that lines may be redrawn. */
  live: boolean;
  env: Record<string, string | undefined>;
  cwd: string;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
};

/** What every command is given. */
export type Cli = {
  terminal: Terminal;
  /** Where the service is. @throws CliError when no address is known */
  place: () => string;
  /** @throws CliError when no address or key is known */
  connection: () => Found;
  /** A client for `connection`. */
  connect: () => Client;
};
