import net from 'node:net';
import pg, { type QueryResultRow } from 'pg';
import type { Statement } from './database.ts';
import { BY_INDEX, startupOptions } from './pool.ts';

/** Where an event of this folder is reported: its name and its fields. */
export type Log = (event: string, fields: Record<string, unknown>) => void;

/** The connection went while a statement was under way: it may have been committed or not. */
export class Unknown extends Error {
  constructor(cause: unknown) {
    super(`connection lost: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'Unknown';
  }
}

export type Connection = {
  /**
   * Rows of one autocommitted statement; one after the other. `then` is sent right behind it, in the same breath: the server
   * takes it up when the first is committed or refused, and nobody waits for it.
   * @throws pg.DatabaseError when the server refused it, Unknown when the connection went
   */
  rows: <R extends QueryResultRow>(statement: Statement, then?: Statement) => Promise<R[]>;
  end: () => Promise<void>;
};

export type ConnectionOptions = {
  url: string;
  /** Shown in pg_stat_activity. */
  name: string;
  /** Runs on each new connection before it is used: a function's plans are made at its first call (7 to 9 ms). */
  warm?: Statement;
  log?: Log | undefined;
};

/** The server answered and has rolled back; anything else leaves the fate of the statement open. */
export const isRefusal = (error: unknown): error is pg.DatabaseError & { code: string } =>
  error instanceof pg.DatabaseError && error.code !== undefined && !/^(08|57P)/.test(error.code);

/** One connection of the engine's role that opens when first used and opens again after a loss. */
export function openConnection(options: ConnectionOptions): Connection {
  let client: Client | undefined;
  let opening: Promise<Client> | undefined;
  let ended = false;

  const forget = (lost: Client) => {
    if (client === lost) client = undefined;
    void lost.end().catch(() => undefined);
  };
  const current = async (): Promise<Client> => {
    opening ??= connect(options, { forget, isEnded: () => ended }).finally(() => {
      opening = undefined;
    });
    return (client = await opening);
  };
  const query = async <R extends QueryResultRow>(statement: Statement, then?: Statement): Promise<R[]> => {
    const used = client ?? (await current());
    try {
      return (await used.send<R>(statement, then)).rows;
    } catch (error) {
      if (isRefusal(error)) throw error;
      forget(used);
      throw new Unknown(error);
    }
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    rows: <R extends QueryResultRow>(statement: Statement, then?: Statement) => {
      const answer = last.then(() => query<R>(statement, then));
      last = answer.catch(() => undefined);
      return answer;
    },
    end: async () => {
      ended = true;
      await client?.end().catch(() => undefined);
      client = undefined;
    },
  };
}

/** Tries until it is connected. @throws Unknown once it is not wanted any more */
async function connect(options: ConnectionOptions, on: { forget: (lost: Client) => void; isEnded: () => boolean }): Promise<Client> {
  const refuseWhenEnded = () => {
    if (on.isEnded()) throw new Unknown('the connection was closed');
  };
  for (let delayMs = 20; ; delayMs = Math.min(delayMs * 2, 500)) {
    refuseWhenEnded();
    const next = newClient(options);
    next.on('error', () => {
      on.forget(next);
    });
    try {
      await next.connect();
      if (options.warm) await next.query(toQuery(options.warm));
      refuseWhenEnded();
      return next;
    } catch (error) {
      options.log?.('database.unreachable', { connection: options.name, error });
      void next.end().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

const toQuery = (statement: Statement) => ({ name: statement.name, text: statement.text, values: [...statement.values] });

class Client extends pg.Client {
  readonly #socket: net.Socket;

  constructor(config: pg.ClientConfig, socket: net.Socket) {
    super({ ...config, stream: () => socket });
    this.#socket = socket;
  }

  /** Both in one write: a call of the system costs as much as what it sends. */
  send<R extends QueryResultRow>(statement: Statement, then: Statement | undefined): Promise<pg.QueryResult<R>> {
    this.#socket.cork();
    try {
      const answer = this.query<R>(toQuery(statement));
      if (then) this.query(toQuery(then)).catch(() => undefined);
      return answer;
    } finally {
      this.#socket.uncork();
    }
  }
}

/** A server that answers nothing for 15 s counts as lost; its own limits (statement 5 s, lock 2 s) are far below. */
const newClient = (options: ConnectionOptions) => {
  const config = {
    connectionString: options.url,
    application_name: `tiu ${options.name}`,
    options: `${startupOptions('tiu_engine')} -c plan_cache_mode=force_generic_plan -c jit=off ${BY_INDEX}`,
    connectionTimeoutMillis: 5_000,
    query_timeout: 15_000,
    keepAlive: true,
    pipeline: true,
  };
  return new Client(config, new net.Socket());
};
