import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import pg, { type Pool, type PoolClient, type QueryResultRow } from 'pg';
import type { Statement } from './pool.ts';

/**
 * Whose rows the work at hand may see. Inside `within` that is one workspace, whatever a statement asks for: row security of
 * `tiu_api` is the second wall behind the check of rights. Outside it is the engine's.
 */
export type Walls = {
  within: <T>(workspace: string, work: () => T) => T;
  current: () => string | undefined;
};

export function createWalls(): Walls {
  const storage = new AsyncLocalStorage<string>();
  return { within: (workspace, work) => storage.run(workspace, work), current: () => storage.getStore() };
}

/**
 * Puts a pool behind the wall: each statement is preceded by the workspace it is for, in the same write, unless the connection
 * is there already. No round trip is added, and no statement is answered that ran in another workspace.
 */
export function wallPool(pool: Pool, walls: Pick<Walls, 'current'>): void {
  pool.on('connect', (client) => {
    wallClient(client, walls);
  });
  // a callback is called by whoever gives the connection back: it has to be told whose it is
  const connect = pool.connect.bind(pool) as (...given: unknown[]) => unknown;
  pool.connect = ((callback?: () => void) => (callback ? connect(AsyncLocalStorage.bind(callback)) : connect())) as Pool['connect'];
}

const ENTER = `select set_config('tiu.workspace', $1, false)`;

type Query = (...args: unknown[]) => Promise<unknown>;

function wallClient(client: PoolClient, walls: Pick<Walls, 'current'>): void {
  const query = client.query.bind(client) as Query;
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  /** In which workspace the connection is, or will be when it comes to what is sent next; undefined: in none for sure. */
  let inside: string | undefined;
  let entering: Promise<unknown> = Promise.resolve();
  const enter = (workspace: string) => {
    const status = client.getTransactionStatus();
    if (status === 'T' || status === 'E') throw new Error('a transaction belongs to one workspace');
    inside = workspace;
    entering = query({ name: 'enter_workspace', text: ENTER, values: [workspace] }).catch((error: unknown) => {
      inside = undefined;
      throw error;
    });
  };
  const walled: Query = async (...args) => {
    if (args.some((arg) => typeof arg === 'function')) throw new Error('behind the wall statements are promises');
    const workspace = walls.current();
    if (workspace === undefined) throw new Error('behind the wall every statement is of a workspace');
    let sent: Promise<unknown>;
    stream.cork();
    try {
      if (workspace !== inside) enter(workspace);
      sent = query(...args);
    } finally {
      stream.uncork();
    }
    // what was sent behind an entry that failed may have seen another workspace: nobody gets its answer
    const [, answer] = await Promise.all([entering, sent]);
    return answer;
  };
  client.query = walled as PoolClient['query'];
}

/** Rows of one statement, on a connection that is asked for in the context of the caller. */
export async function rowsOf<R extends QueryResultRow>(pool: Pool, { name, text, values }: Statement): Promise<R[]> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    return (await client.query<R>({ name, text, values: [...values] })).rows;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) broken = error as Error;
    throw error;
  } finally {
    client.release(broken);
  }
}
