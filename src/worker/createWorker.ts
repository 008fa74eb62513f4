import type { DataConverter } from '@temporalio/common';
import { Worker, type NativeConnection } from '@temporalio/worker';
import type { Config } from '../runtime/config.ts';

export type CreateWorkerDeps = {
  connection: NativeConnection;
  config: Pick<Config, 'TEMPORAL_NAMESPACE' | 'TIU_TASK_QUEUE' | 'TIU_MAX_CACHED_WORKFLOWS' | 'TIU_SHUTDOWN_GRACE'>;
  identity: string;
  /** File with the prebuilt workflow bundle: bundling here would cost 130 MB that are never given back. */
  bundle: string;
  activities: object;
  dataConverter: DataConverter;
};

/** Polls for workflow tasks and activities of our queue. Slots are sized for a process of 250 MB. */
export function createWorker(deps: CreateWorkerDeps): Promise<Worker> {
  const { config } = deps;
  return Worker.create({
    connection: deps.connection,
    namespace: config.TEMPORAL_NAMESPACE,
    taskQueue: config.TIU_TASK_QUEUE,
    identity: deps.identity,
    workflowBundle: { codePath: deps.bundle },
    activities: deps.activities,
    dataConverter: deps.dataConverter,
    maxConcurrentWorkflowTaskExecutions: 40,
    maxConcurrentActivityTaskExecutions: 100,
    maxConcurrentLocalActivityExecutions: 100,
    maxCachedWorkflows: config.TIU_MAX_CACHED_WORKFLOWS,
    // A run that waits on a timer when its worker dies would otherwise stall for 10 s.
    stickyQueueScheduleToStartTimeout: 2_000,
    shutdownGraceTime: config.TIU_SHUTDOWN_GRACE,
    shutdownForceTime: config.TIU_SHUTDOWN_GRACE + 2_000,
  });
}
