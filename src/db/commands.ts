import { randomUUIDv7 } from 'node:crypto';
import { Problem } from '../domain/problem.ts';
import { openConnection, type Log } from './connection.ts';
import { createNotices } from './notices.ts';

/** A durable instruction to a run. A second cancel forces, as `force` does at once. */
export type Command = {
  run: string;
  workspace: string;
  type: 'cancel';
  reason?: string;
  force?: boolean;
  /** Who gave it, e.g. `key:<uuid>`. */
  by: string;
};

export type Commands = {
  /**
   * Writes event, command and audit row under one number of the run, which is returned.
   * @throws Problem not_found, run_already_closed, unavailable (nothing was written, or the answer was lost)
   */
  command: (command: Command) => Promise<number>;
  close: () => Promise<void>;
};

/** Commands are single autocommitted calls: they wait for the run's lock without holding anything else. */
export function createCommands(deps: { url: string; log?: Log }): Commands {
  const notices = createNotices(deps);
  const connection = openConnection({ url: deps.url, name: 'commands', log: deps.log });
  return {
    command: async (command) => {
      const { run, workspace, type, force = false, by } = command;
      const reason = command.reason?.replaceAll('\u0000', '');
      const values = [
        run,
        workspace,
        type,
        JSON.stringify({ reason, force }),
        JSON.stringify({ reason, by }),
        reason,
        by,
        randomUUIDv7(),
        force,
      ];
      const text = 'select command_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)::float8 as seq';
      const [row] = await connection.rows<{ seq: number | null }>({ name: 'command_v1', text, values }).catch((cause: unknown) => {
        throw new Problem('unavailable', { cause });
      });
      const seq = row?.seq ?? null;
      if (seq === null) throw new Problem('run_already_closed');
      if (seq === 0) throw new Problem('not_found');
      notices.tell({ runs: [run], kicks: ['command'] });
      return seq;
    },
    close: async () => {
      await Promise.all([connection.end(), notices.close()]);
    },
  };
}
