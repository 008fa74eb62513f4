import { WorkflowNotFoundError } from '@temporalio/common';
import type { Executions, RunHead } from '../../../src/temporal/executions.ts';
import { TemporalUnreachable } from '../../../src/temporal/failures.ts';
import { MAP_SLICE, runWorkflowId, sliceWorkflowId } from '../../../src/temporal/names.ts';
import { add, isRunning, type Execution, type Server } from './execution.ts';
import { launch, wake } from './workflowTasks.ts';

const FIRST_MS = 2_000;
const PATIENT_MS = 10_000;
const CALL_DEADLINE_MS = 5_000;

type Start = { id: string; type: string; args: unknown; taskTimeoutMs: number };

/** ALLOW_DUPLICATE and USE_EXISTING. */
function begin(server: Server, start: Start): Execution {
  const known = server.executions.get(start.id);
  return known && isRunning(known) ? known : launch(server, start);
}

function signal(server: Server, execution: Execution, name: string): void {
  add(server, execution, { type: 'signal', name });
  wake(server, execution);
}

function running(server: Server, id: string): Execution {
  const execution = server.executions.get(id);
  if (!execution || !isRunning(execution)) throw new WorkflowNotFoundError('', id, undefined);
  return execution;
}

/** Asked to cancel: once, as Temporal does. */
export function cancel(server: Server, id: string): void {
  const execution = running(server, id);
  const jobs = [
    ...execution.recorded.flatMap(({ jobs: seen }) => seen),
    ...(execution.task?.jobs ?? []),
    ...execution.pending,
    ...execution.buffered,
  ];
  if (jobs.some(({ type }) => type === 'cancel')) return;
  add(server, execution, { type: 'cancel' });
  wake(server, execution);
}

export function terminate(server: Server, execution: Execution, by: string): void {
  if (!isRunning(execution)) return;
  execution.status = 'TERMINATED';
  execution.terminatedBy = by;
  execution.task = null;
}

type Caller = { owner: number; lost: () => boolean };

/** A call to the server and its answer, either of which may get lost. */
function createCall(server: Server, options: Caller): <T>(work: () => T) => Promise<T> {
  return <T>(work: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      const answer = (settle: () => void, ms = server.latency()): void => void server.clock.after(ms, settle, options.owner);
      const unreachable = (): void => {
        answer(() => {
          reject(new TemporalUnreachable());
        }, CALL_DEADLINE_MS);
      };
      server.clock.after(
        server.latency(),
        () => {
          if (server.down || options.lost()) {
            unreachable();
            return;
          }
          try {
            const value = work();
            if (options.lost()) unreachable();
            else
              answer(() => {
                resolve(value);
              });
          } catch (error) {
            answer(() => {
              reject(error instanceof Error ? error : new Error(String(error)));
            });
          }
        },
        0,
      );
    });
}

/** What a worker's client does: every call may fail, before or after it took effect. */
export function createExecutions(server: Server, options: { owner: number; identity: string; lost: () => boolean }): Executions {
  const call = createCall(server, options);
  const startOf = (run: RunHead, taskTimeoutMs: number): Start => ({
    ...{ id: runWorkflowId(run.runId), type: run.definition, args: { runId: run.runId }, taskTimeoutMs },
  });
  const knownStart = (run: RunHead, known?: { completed: boolean }): Start => ({
    ...startOf(run, FIRST_MS),
    ...(known?.completed === true && { args: { runId: run.runId, completed: true } }),
  });
  return {
    start: (run, known) =>
      call(() => {
        const start = knownStart(run, known);
        if (known?.found === true && server.executions.has(start.id)) return;
        begin(server, start);
      }),
    restart: (run, known) =>
      call(() => {
        const running = server.executions.get(runWorkflowId(run.runId));
        if (running) terminate(server, running, options.identity);
        launch(server, knownStart(run, known));
      }),
    poke: (run) =>
      call(() => {
        signal(server, begin(server, startOf(run, PATIENT_MS)), 'poke');
      }),
    cancel: (runId) =>
      call(() => {
        cancel(server, runWorkflowId(runId));
      }),
    startSlice: (slice) =>
      call(() => {
        signal(server, begin(server, { id: sliceWorkflowId(slice), type: MAP_SLICE, args: slice, taskTimeoutMs: PATIENT_MS }), 'poke');
      }),
    startExternal: () => Promise.reject(new Error('nothing here calls activities of users')),
    cancelExternal: () => Promise.reject(new Error('nothing here calls activities of users')),
    describe: (id) =>
      call(() => {
        const found = server.executions.get(id);
        const taskAttempt = found?.task || found?.dispatching ? found.attempt : 0;
        return found && { status: found.status, temporalRunId: found.runId, taskAttempt, activityFailure: '', untaken: '' };
      }),
    terminate: ({ workflowId, temporalRunId }) =>
      call(() => {
        const found = running(server, workflowId);
        if (found.runId === temporalRunId) terminate(server, found, options.identity);
      }),
    taskFailures: () => Promise.resolve([]),
    terminatedBy: ({ workflowId }) => call(() => server.executions.get(workflowId)?.terminatedBy ?? ''),
    prepare: () => Promise.resolve(),
  };
}
