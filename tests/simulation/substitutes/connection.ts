import type { Connection, ConnectionOptions } from '../../../src/db/connection.ts';
import type { Statement } from '../../../src/db/database.ts';

/** In place of src/db/connection.ts: connections to the simulated database. */
export class Unknown extends Error {
  override name = 'Unknown';
}

/** The simulated server's no, or its end (class 08 and 57P). */
export class Refusal extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`refused: ${code}`);
    this.code = code;
  }
}

export const isRefusal = (error: unknown): error is Refusal => error instanceof Refusal && !/^(08|57P)/.test(error.code);

/** @param isPatient waits for a server that is away, as a connection that opens again does */
type Send = (statement: Statement, isPatient: boolean) => Promise<object[]>;
let open: () => Send = () => () => Promise.reject(new Unknown('no world has begun'));

/** @param connect gives the way to the database from the process whose code runs */
export const useDatabase = (connect: () => Send): void => {
  open = connect;
};

/** One statement after the other, as over one socket. */
export function openConnection({ name }: ConnectionOptions): Connection {
  const send = open();
  let last: Promise<unknown> = Promise.resolve();
  let ended = false;
  const query = async (statement: Statement): Promise<object[]> => {
    if (ended) throw new Unknown(`the connection ${name} was closed`);
    try {
      return await send(statement, true);
    } catch (error) {
      throw isRefusal(error) ? error : new Unknown('connection lost');
    }
  };
  return {
    rows: <R>(statement: Statement, then?: Statement) => {
      const answer = last.then(() => query(statement));
      last = answer.catch(() => undefined);
      if (then) last = last.then(() => query(then)).catch(() => undefined);
      return answer as Promise<R[]>;
    },
    end: () => {
      ended = true;
      return Promise.resolve();
    },
  };
}
