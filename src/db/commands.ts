import { randomUUIDv7 } from 'node:crypto';
import { Problem } from '../domain/problem.ts';
import { AUDIT, withAudit } from './audit.ts';
import { openConnection, type Log } from './connection.ts';
import type { Statement } from './database.ts';
import { createNotices, type Kick } from './notices.ts';

type Tasks = { indexes: readonly number[]; names: readonly string[] };

/** Opens a closed run again: these tasks in a new generation, `keepItems` of them with the items that are done. `seq`: number of its last event when that was decided. */
export type RetryOrder = { type: 'retry'; seq: number; tasks: Tasks; keepItems: readonly number[] };

/** What may be asked of a run. A second cancel forces, as `force` does at once. */
export type Order =
  | { type: 'cancel'; force?: boolean }
  /** Without tasks: of the whole run. */
  | { type: 'pause' | 'resume'; tasks?: Tasks }
  | RetryOrder
  /** `main`: how many tasks come before those of `finally`; `item`: -1 = the task itself. */
  | { type: 'skip'; task: number; main: number; item: number }
  /** Decides an open approval: `output` completes it, `failure` fails it (JSON text). */
  | { type: 'approve' | 'reject'; task: number; output?: string; failure?: string }
  | { type: 'complete'; task: number; main: number; item: number; output: { output?: string; outputRef?: Buffer; outputSize: number } };

/** A durable instruction to a run. */
export type Command = Order & {
  run: string;
  workspace: string;
  reason?: string;
  /** Who gave it, e.g. `key:<uuid>`. */
  by: string;
};

/** What may be asked of many runs at once. */
export const BULK_TYPES = ['cancel', 'pause', 'resume', 'retry'] as const;
export type BulkType = (typeof BULK_TYPES)[number];

/** A part of the way of a bulk job: from its cursor to that of the next step. */
type BulkStep = {
  bulk: string;
  type: BulkType;
  from: string;
  to: string;
  /** No run comes after these. */
  last: boolean;
  runs: readonly string[];
  /** Of retries, what each runs again; null = nothing can be. */
  orders: readonly (RetryOrder | null)[];
};

export type Commands = {
  /**
   * Writes event, command and audit row under one number of the run, which is returned.
   * @throws Problem not_found, run_already_closed, state_conflict, approval_closed, unavailable (nothing was written, or the answer was lost)
   */
  command: (command: Command) => Promise<number>;
  /** Tells workers that these runs have something to look at. */
  poke: (runs: readonly string[]) => void;
  /** Tells workers that there is a bulk job. */
  tellBulk: () => void;
  /**
   * Gives the runs of a step their command, counts the answers and moves the cursor of the job, all in one commit.
   * @returns runs that took it; undefined: the job has ended or moved on meanwhile, and nothing was done
   */
  commandMany: (step: BulkStep) => Promise<readonly string[] | undefined>;
  close: () => Promise<void>;
};

/**
 * Commands are single autocommitted calls: they wait for the run's lock without holding anything else. A run that only waits
 * ends in the commit that cancels it.
 */
export function createCommands(deps: { url: string; log?: Log }): Commands {
  const notices = createNotices(deps);
  const connection = openConnection({ url: deps.url, name: 'commands', log: deps.log });
  return {
    command: async (given) => {
      const command = { ...given, ...(given.reason !== undefined && { reason: given.reason.replaceAll('\u0000', '') }) };
      const [row] = await connection.rows<{ seq: number | null; ended?: boolean }>(statementOf(command)).catch((cause: unknown) => {
        throw new Problem('unavailable', { cause });
      });
      const seq = row?.seq ?? null;
      if (seq === null) throw new Problem('run_already_closed');
      if (seq === 0) throw new Problem('not_found');
      if (seq < 0) throw refusalOf(command, seq);
      notices.tell({ runs: [command.run], kicks: row?.ended ? ENDED : KICKS[command.type] });
      return seq;
    },
    poke: (runs) => {
      notices.tell({ runs: [...runs], kicks: ['command'] });
    },
    commandMany: async (step) => {
      const [row] = await connection.rows<{ applied: string[] | null; ended: string[] }>(statementOfStep(step));
      const { applied, ended = [] } = row ?? {};
      if (!applied) return undefined;
      const kicks = [...(ended.length > 0 ? ENDED : []), ...(ended.length < applied.length ? KICKS[step.type] : [])];
      if (applied.length > 0) notices.tell({ runs: applied, kicks });
      return applied;
    },
    tellBulk: () => {
      notices.tell({ runs: [], kicks: ['bulk'] });
    },
    close: async () => {
      await Promise.all([connection.end(), notices.close()]);
    },
  };
}

/** The run ended with its command: it has made room, and there is nothing to tell it. */
const ENDED: readonly Kick[] = ['closed'];

const KICKS: { readonly [type in Order['type']]: readonly Kick[] } = {
  cancel: ['command'],
  pause: ['command'],
  resume: ['command', 'wait'],
  retry: ['queued'],
  skip: ['command'],
  complete: ['command'],
  approve: ['command'],
  reject: ['command'],
};

const refusalOf = (command: Command, answer: number): Problem =>
  command.type === 'approve' || command.type === 'reject'
    ? new Problem('approval_closed')
    : new Problem('state_conflict', { detail: conflictOf(command, answer) });

/** Why the database has refused a command. */
function conflictOf(command: Command, answer: number): string {
  if (answer === -2) return 'the run has changed meanwhile: look at it and ask again';
  switch (command.type) {
    case 'cancel':
      return 'how the run ends is decided and it cleans up; force ends that';
    case 'pause':
      return command.tasks ? 'these tasks are paused already, or have ended' : 'the run is paused already';
    case 'resume':
      return command.tasks ? 'these tasks are not paused' : 'the run is not paused';
    case 'retry':
      return 'the run is open';
    default:
      return 'the task has ended, or it is not its time: tasks first, those of finally when all others have settled';
  }
}

const call = (name: string, values: unknown[]): Statement => {
  const audited = withAudit(values);
  return { name, text: `select ${name}(${audited.places})::float8 as seq`, values: audited.values };
};

function statementOfStep({ bulk, from, to, last, runs, orders }: BulkStep): Statement {
  const given = orders.map((order) => order && { ...order, tasks: order.tasks.indexes, names: order.tasks.names });
  return {
    name: 'bulk_step',
    text: 'select applied, ended from bulk_step_v2($1, $2, $3, $4, $5, $6, $7)',
    values: [bulk, from, to, last, runs, runs.map(() => randomUUIDv7()), JSON.stringify(given)],
  };
}

function statementOf(command: Command): Statement {
  const { run, workspace, reason, by } = command;
  const audit = AUDIT;
  const noted = (data: object): [payload: string, data: string] => [
    JSON.stringify({ reason, ...data }),
    JSON.stringify({ reason, by, ...data }),
  ];
  switch (command.type) {
    case 'cancel':
      return cancelOf(command);
    case 'pause':
    case 'resume': {
      const { tasks } = command;
      const notes = noted(tasks ? { tasks: tasks.names } : {});
      return call('pause_v1', [run, workspace, command.type === 'pause', tasks?.indexes ?? null, ...notes, by, audit]);
    }
    case 'retry': {
      const { seq, tasks, keepItems } = command;
      return call('reopen_run_v1', [run, workspace, seq, tasks.indexes, keepItems, ...noted({ tasks: tasks.names }), by, audit]);
    }
    case 'approve':
    case 'reject':
      return decisionOf(command, [...noted({}), by, audit]);
    case 'skip':
      return call('settle_task_v1', [
        run,
        workspace,
        command.task,
        command.main,
        command.item,
        'skipped',
        null,
        null,
        null,
        ...noted({}),
        by,
        audit,
      ]);
    case 'complete': {
      const { output = null, outputRef = null, outputSize } = command.output;
      return call('settle_task_v1', [
        run,
        workspace,
        command.task,
        command.main,
        command.item,
        'completed',
        output,
        outputRef,
        outputSize,
        ...noted({}),
        by,
        audit,
      ]);
    }
  }
}

/** Ends a run that only waits in the same commit. */
function cancelOf({ run, workspace, reason, by, force = false }: Extract<Command, { type: 'cancel' }>): Statement {
  const payload = JSON.stringify({ reason, force });
  const { places, values } = withAudit([run, workspace, payload, JSON.stringify({ reason, by }), reason, by, AUDIT, force]);
  return { name: 'cancel_v1', text: `select seq::float8, ended from cancel_v1(${places})`, values };
}

type Decision = Extract<Command, { type: 'approve' | 'reject' }>;

function decisionOf({ run, workspace, type, task, output, failure }: Decision, notes: readonly unknown[]): Statement {
  const status = failure === undefined ? 'completed' : 'failed';
  return call('decide_approval_v1', [run, workspace, task, type, status, output ?? null, failure ?? null, ...notes]);
}
