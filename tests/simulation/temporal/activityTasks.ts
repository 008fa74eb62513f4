import { ApplicationFailure } from '@temporalio/common';
import { inActivity } from '../substitutes/activity.ts';
import type { Command, Job } from '../substitutes/workflow.ts';
import { add, aHostOf, isRunning, type ActivityTask, type Execution, type Host, type Server } from './execution.ts';
import { wake } from './workflowTasks.ts';

type Asked = Extract<Command, { type: 'local' | 'activity' }>;

const HEARTBEAT_MS = 5_000;
const NOBODY_MS = 150;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;

/** @returns undefined for what must not be repeated */
function retryAfter(error: unknown, attempt: number): number | undefined {
  const own = error instanceof ApplicationFailure ? error : undefined;
  if (own?.nonRetryable) return undefined;
  const delay: unknown = own?.nextRetryDelay;
  if (delay !== undefined && delay !== null) return typeof delay === 'number' ? delay : Number.parseInt(delay as string, 10);
  return Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1));
}

function call(
  host: Host,
  { name, args }: { name: string; args: string },
  current: { isLocal: boolean; heartbeat: () => void },
): Promise<unknown> {
  const activity = host.activities[name];
  if (!activity) throw new Error(`no activity ${name}`);
  return inActivity({ info: { isLocal: current.isLocal }, heartbeat: current.heartbeat }, () => activity(...(JSON.parse(args) as never[])));
}

const answerOf = (value: unknown): string => (value === undefined ? '' : JSON.stringify(value));

type Local = { host: Host; command: Asked; isCurrent: () => boolean };

/** In the process of the workflow task, as often as it takes, as long as anybody waits. */
export function runLocal(server: Server, local: Local, done: (job: Job) => void, attempt = 1): void {
  const { seq } = local.command;
  const settle = (job: Job): void =>
    void server.clock.after(
      0,
      () => {
        done(job);
      },
      local.host.owner,
    );
  const begin = (): void => {
    if (!local.isCurrent()) return;
    call(local.host, local.command, { isLocal: true, heartbeat: () => undefined }).then(
      (value) => {
        settle({ type: 'resolve', seq, answer: answerOf(value) });
      },
      (error: unknown) => {
        const delay = retryAfter(error, attempt);
        if (delay === undefined) settle({ type: 'reject', seq });
        else
          server.clock.after(
            delay,
            () => {
              runLocal(server, local, done, attempt + 1);
            },
            local.host.owner,
          );
      },
    );
  };
  server.clock.after(0, begin, local.host.owner);
}

export function scheduleActivity(server: Server, execution: Execution, { seq, name, args }: Asked): void {
  const task: ActivityTask = { seq, name, args, attempt: 0, token: 0, beat: 0 };
  execution.activities.set(seq, task);
  dispatch(server, execution, task);
}

function dispatch(server: Server, execution: Execution, task: ActivityTask, delayMs = server.latency()): void {
  server.clock.after(
    delayMs,
    () => {
      if (!isRunning(execution) || execution.activities.get(task.seq) !== task) return;
      const host = server.down ? undefined : aHostOf(server);
      if (!host) {
        dispatch(server, execution, task, NOBODY_MS);
        return;
      }
      task.attempt++;
      task.token = ++server.tokens;
      task.beat = server.clock.now();
      guard(server, execution, task);
      const { token } = task;
      server.clock.after(
        server.latency(),
        () => {
          run(server, execution, { task, host, token });
        },
        host.owner,
      );
    },
    0,
  );
}

/** No sign of life for 5 s: somebody else gets it. */
function guard(server: Server, execution: Execution, task: ActivityTask): void {
  const { token } = task;
  server.clock.after(
    task.beat + HEARTBEAT_MS - server.clock.now(),
    () => {
      if (!isRunning(execution) || execution.activities.get(task.seq) !== task || task.token !== token) return;
      if (server.clock.now() < task.beat + HEARTBEAT_MS) {
        guard(server, execution, task);
        return;
      }
      server.trace(`${execution.id} ${task.name} lost its worker`);
      task.token = 0;
      dispatch(server, execution, task, FIRST_RETRY_MS);
    },
    0,
  );
}

type Running = { task: ActivityTask; host: Host; token: number };

/** In the worker. */
function run(server: Server, execution: Execution, { task, host, token }: Running): void {
  const isMine = (): boolean => isRunning(execution) && execution.activities.get(task.seq) === task && task.token === token && !server.down;
  const tell = (what: () => void): void =>
    void server.clock.after(
      server.latency(),
      () => {
        if (isMine()) what();
      },
      0,
    );
  const heartbeat = (): void => {
    tell(() => {
      task.beat = server.clock.now();
    });
  };
  const settle = (job: Job): void => {
    if (server.loss()) return;
    tell(() => {
      execution.activities.delete(task.seq);
      add(server, execution, job);
      wake(server, execution);
    });
  };
  call(host, task, { isLocal: false, heartbeat }).then(
    (value) => {
      settle({ type: 'resolve', seq: task.seq, answer: answerOf(value) });
    },
    (error: unknown) => {
      const delay = retryAfter(error, task.attempt);
      if (delay === undefined) {
        settle({ type: 'reject', seq: task.seq });
        return;
      }
      tell(() => {
        task.token = 0;
        dispatch(server, execution, task, delay);
      });
    },
  );
}
