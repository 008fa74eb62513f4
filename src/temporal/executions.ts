import { Client, WorkflowExecutionAlreadyStartedError, type ConnectionLike, type WorkflowExecutionStatusName } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/logger.ts';
import { temporalFailure, TemporalUnreachable, within } from './failures.ts';
import { EXTERNAL, externalWorkflowId, MAP_SLICE, POKE, runWorkflowId, sliceWorkflowId, type ExternalId, type SliceId } from './names.ts';
import { registerSearchAttributes, searchAttributesOf } from './searchAttributes.ts';

/** What Temporal is told about a run. None of it is user data beyond names and titles. */
export type RunHead = {
  runId: string;
  workspace: string;
  /** Name of the definition, which is the workflow type. */
  definition: string;
  title: string | null;
  parent: string | null;
  priority: number;
  /** Number of tasks. */
  total: number;
};

export type Execution = {
  status: WorkflowExecutionStatusName;
  /** Temporal's run id, not ours. */
  temporalRunId: string;
  /** Tries of the pending workflow task; 0 without one. */
  taskAttempt: number;
  /** Type of the last failure of an activity that fails again and again, for a reason that is not the user's; '' if none does. */
  activityFailure: string;
  /** The task queue, not ours, in which an activity of it has been for some seconds and that no worker has taken; '' if there is none. */
  untaken: string;
};

/** All that the worker asks of Temporal. Every call has a deadline; none is repeated here, because the rows are looked at again. */
export type Executions = {
  /**
   * @param known.completed the run has ended already: its execution has nothing to do but to say so
   * @param known.found it may have had its execution: then it gets no other
   */
  start: (run: RunHead, known?: { completed: boolean; found?: boolean }) => Promise<void>;
  /** Starts the run in place of the execution it has, if any, which is terminated in the same step. */
  restart: (run: RunHead, known?: { completed: boolean }) => Promise<void>;
  /** Starts the run if it has no execution, so a lost one comes back by being needed. */
  poke: (run: RunHead) => Promise<void>;
  cancel: (runId: string) => Promise<void>;
  /** One that is there, because its run was paused, goes on. */
  startSlice: (slice: SliceId, title: string) => Promise<void>;
  /** What calls an activity of a user's for a task of this name; one that is there goes on. */
  startExternal: (external: ExternalId, task: string) => Promise<void>;
  cancelExternal: (external: ExternalId) => Promise<void>;
  /** undefined = Temporal knows no such execution. */
  describe: (workflowId: string) => Promise<Execution | undefined>;
  terminate: (execution: { workflowId: string; temporalRunId: string }, reason: string) => Promise<void>;
  /** Types of the failures of its latest workflow tasks, the newest first. */
  taskFailures: (execution: { workflowId: string; temporalRunId: string }) => Promise<string[]>;
  /** Identity of whoever terminated it; the server's own is `history-service`. */
  terminatedBy: (execution: { workflowId: string; temporalRunId: string }) => Promise<string>;
  /** Registers what starts need. Never throws: a run without search attributes is better than none. */
  prepare: () => Promise<void>;
};

export type ExecutionsDeps = {
  /** The worker's own connection, without which a start cannot be eager; undefined until there was one. */
  connection: () => ConnectionLike | undefined;
  identity: string;
  dataConverter: DataConverter;
  config: Pick<Config, 'TEMPORAL_NAMESPACE' | 'TIU_TASK_QUEUE' | 'TIU_WORKFLOW_TASK_TIMEOUT' | 'TIU_PUBLIC_URL' | 'TIU_HOST' | 'TIU_PORT'>;
  log: Log;
};

const CALL_DEADLINE_MS = 5_000;
/** A replay of a long history does not fit into the timeout of a first start. */
const PATIENT_MS = 10_000;
/** Plans beyond this need the patient timeout from the start. */
const LARGE_PLAN = 500;
/** Of an activity, which Temporal repeats only for our own faults: what fails for the user is a result. */
const MANY_ATTEMPTS = 5;
/** An activity that has been in its task queue for so long has no worker that takes it, or none with room. */
const UNTAKEN_MS = 2_000;
/** temporal.api.enums.v1.PendingActivityState */
const SCHEDULED = 1;

export function createExecutions(deps: ExecutionsDeps): Executions {
  const { config } = deps;
  const call = createCaller(deps);
  const attributes = createAttributes(deps, call);
  const common = {
    taskQueue: config.TIU_TASK_QUEUE,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    workflowIdConflictPolicy: 'USE_EXISTING',
  } as const;
  const optionsOf = (run: RunHead) => ({
    ...common,
    workflowId: runWorkflowId(run.runId),
    args: [{ runId: run.runId }],
    staticSummary: (run.title ?? run.definition).slice(0, 200),
    staticDetails: `[Run ${run.runId}](${runUrl(config, run.runId)})`,
  });
  const handle = (client: Client, workflowId: string) => client.workflow.getHandle(workflowId);
  const start = (run: RunHead, more: More) =>
    attributes.withThem(run, (typedSearchAttributes) =>
      call(async (client) => {
        await client.workflow.start(run.definition, {
          ...optionsOf(run),
          ...typedSearchAttributes,
          workflowTaskTimeout: run.total > LARGE_PLAN ? PATIENT_MS : config.TIU_WORKFLOW_TASK_TIMEOUT,
          requestEagerStart: true,
          ...more,
        });
      }),
    );
  return {
    start: (run, known) => startKnown(start, run, known),
    restart: (run, known) => start(run, { workflowIdConflictPolicy: 'TERMINATE_EXISTING', ...argsOf(run, known) }),
    poke: (run) =>
      attributes.withThem(run, (typedSearchAttributes) =>
        call(async (client) => {
          const restart = { workflowTaskTimeout: PATIENT_MS, signal: POKE, signalArgs: [] };
          await client.workflow.signalWithStart(run.definition, { ...optionsOf(run), ...typedSearchAttributes, ...restart });
        }),
      ),
    cancel: (runId) =>
      call(async (client) => {
        await handle(client, runWorkflowId(runId)).cancel();
      }),
    startSlice: (slice, title) =>
      call(async (client) => {
        const options = { workflowId: sliceWorkflowId(slice), args: [slice], workflowTaskTimeout: PATIENT_MS };
        const told = { staticSummary: title.slice(0, 200), signal: POKE, signalArgs: [] };
        await client.workflow.signalWithStart(MAP_SLICE, { ...common, ...options, ...told });
      }),
    ...createExternals(config, call),
    ...createInspection(config, call),
    prepare: () => attributes.register(),
  };
}

type More = { workflowIdConflictPolicy?: 'TERMINATE_EXISTING'; workflowIdReusePolicy?: 'REJECT_DUPLICATE'; args?: [object] };

const argsOf = (run: RunHead, known?: { completed: boolean }): More =>
  known?.completed ? { args: [{ runId: run.runId, completed: true }] } : {};

/** What `Executions.start` says. */
async function startKnown(start: (run: RunHead, more: More) => Promise<void>, run: RunHead, known: Parameters<Executions['start']>[1]) {
  const args = argsOf(run, known);
  if (!known?.found) return start(run, args);
  try {
    await start(run, { ...args, workflowIdReusePolicy: 'REJECT_DUPLICATE' });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

export type Call = <T>(ask: (client: Client) => Promise<T>) => Promise<T>;

export function createCaller(deps: ExecutionsDeps): Call {
  const namespace = deps.config.TEMPORAL_NAMESPACE;
  let known: { connection: ConnectionLike; client: Client } | undefined;
  return async (ask) => {
    const connection = deps.connection();
    if (!connection) throw new TemporalUnreachable();
    if (known?.connection !== connection)
      known = { connection, client: new Client({ connection, namespace, identity: deps.identity, dataConverter: deps.dataConverter }) };
    const { client } = known;
    return within(
      CALL_DEADLINE_MS,
      client.withDeadline(Date.now() + CALL_DEADLINE_MS, () => ask(client)),
    );
  };
}

/** Search attributes when the server knows them; without them when not, for instance in the seconds after a wipe. */
function createAttributes(deps: ExecutionsDeps, call: Call) {
  const register = async () => {
    try {
      await call((client) => registerSearchAttributes(client, deps.config.TEMPORAL_NAMESPACE));
    } catch (error) {
      deps.log.warn({ err: error }, 'temporal.search_attributes_not_registered');
    }
  };
  return {
    register,
    withThem: async (run: RunHead, ask: (options: { typedSearchAttributes?: ReturnType<typeof searchAttributesOf> }) => Promise<void>) => {
      const { parent, ...rest } = run;
      try {
        await ask({ typedSearchAttributes: searchAttributesOf(parent === null ? rest : { ...rest, parent }) });
      } catch (error) {
        if (temporalFailure(error) !== 'invalid') throw error;
        await register();
        await ask({});
      }
    },
  };
}

function createExternals(config: ExecutionsDeps['config'], call: Call): Pick<Executions, 'startExternal' | 'cancelExternal'> {
  return {
    startExternal: (external, task) =>
      call(async (client) => {
        await client.workflow.start(EXTERNAL, {
          ...{ taskQueue: config.TIU_TASK_QUEUE, workflowId: externalWorkflowId(external), args: [external] },
          ...{ workflowIdReusePolicy: 'ALLOW_DUPLICATE', workflowIdConflictPolicy: 'USE_EXISTING' },
          workflowTaskTimeout: config.TIU_WORKFLOW_TASK_TIMEOUT,
          staticSummary: `activity of task ${task}, run ${external.runId}`.slice(0, 200),
          staticDetails: `[Run ${external.runId}](${runUrl(config, external.runId)})`,
        });
      }),
    cancelExternal: (external) =>
      call(async (client) => {
        await client.workflow.getHandle(externalWorkflowId(external)).cancel();
      }),
  };
}

function createInspection(
  config: ExecutionsDeps['config'],
  call: Call,
): Pick<Executions, 'describe' | 'terminate' | 'terminatedBy' | 'taskFailures'> {
  /** The newest first. */
  const lastEvents = async ({ workflowId, temporalRunId }: { workflowId: string; temporalRunId: string }, maximumPageSize: number) => {
    const request = { namespace: config.TEMPORAL_NAMESPACE, execution: { workflowId, runId: temporalRunId }, maximumPageSize };
    return (await call((client) => client.workflowService.getWorkflowExecutionHistoryReverse(request))).history?.events ?? [];
  };
  return {
    describe: async (workflowId) => {
      try {
        const found = await call((client) => client.workflow.getHandle(workflowId).describe());
        const { pendingWorkflowTask, pendingActivities } = found.raw;
        const failing = pendingActivities?.find(({ attempt, lastFailure }) => (attempt ?? 0) > MANY_ATTEMPTS && lastFailure);
        const before = Date.now() - UNTAKEN_MS;
        const untaken = pendingActivities?.find(
          ({ state, scheduledTime }) => Number(state) === SCHEDULED && Number(scheduledTime?.seconds) * 1_000 < before,
        );
        const taskQueue = untaken?.activityOptions?.taskQueue?.name ?? '';
        return {
          status: found.status.name,
          temporalRunId: found.runId,
          taskAttempt: pendingWorkflowTask?.attempt ?? 0,
          activityFailure: failing?.lastFailure?.applicationFailureInfo?.type ?? '',
          untaken: taskQueue === config.TIU_TASK_QUEUE ? '' : taskQueue,
        };
      } catch (error) {
        if (temporalFailure(error) === 'gone') return undefined;
        throw error;
      }
    },
    terminate: async ({ workflowId, temporalRunId }, reason) => {
      await call((client) => client.workflow.getHandle(workflowId, temporalRunId).terminate(reason));
    },
    taskFailures: async (execution) => {
      const failures = (await lastEvents(execution, 30)).map((event) => event.workflowTaskFailedEventAttributes?.failure);
      return failures.filter((failure) => failure).map((failure) => failure?.applicationFailureInfo?.type ?? '');
    },
    terminatedBy: async (execution) => (await lastEvents(execution, 1))[0]?.workflowExecutionTerminatedEventAttributes?.identity ?? '',
  };
}

const runUrl = (config: ExecutionsDeps['config'], runId: string): string =>
  `${config.TIU_PUBLIC_URL ?? `http://${config.TIU_HOST}:${config.TIU_PORT}`}/api/v1/runs/${runId}`;
