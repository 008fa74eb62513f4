import type { RunEvent } from '../domain/run/events.ts';
import { createArtifacts, type Artifacts } from './artifacts.ts';
import { createAuth, type Auth } from './auth.ts';
import { createAudit, type Audit } from './audit.ts';
import { createBulk, type Bulk } from './bulk.ts';
import { createHooks, type Hooks } from './hooks.ts';
import { createHttp, type Http, type HttpOptions } from './http.ts';
import { createQueue, type QueueClient } from './queue.ts';
import { createReports, type Reports } from './reports.ts';
import { answeredAtLast } from './request.ts';
import { createRuns, type Runs } from './runs.ts';
import { createSchedules, type Schedules } from './schedules.ts';
import { createTasks, type Tasks } from './tasks.ts';
import { createSecrets, type Secrets } from './secrets.ts';
import { watchRun, type WatchOptions } from './watchRun.ts';
import { createWorkflows, type Workflows } from './workflows.ts';

export type Client = {
  baseUrl: string;
  workflows: Workflows;
  runs: Runs;
  tasks: Tasks;
  queue: QueueClient;
  artifacts: Artifacts;
  schedules: Schedules;
  reports: Reports;
  secrets: Secrets;
  hooks: Hooks;
  bulk: Bulk;
  audit: Audit;
  auth: Auth;
  /** The events of a run after `options.after`, gapless across broken connections, up to the one that closes it. */
  watch: (runId: string, options?: WatchOptions) => AsyncGenerator<RunEvent>;
  /** State of the service's parts. */
  health: () => Promise<Health>;
};
export type Health = Awaited<ReturnType<typeof readHealth>>;

/**
 * A client of the service. Every call throws ApiProblem when the service refuses and Unreachable when it does not
 * answer; requests are repeated for some seconds first, under one idempotency key where they act.
 */
export function createClient(options: HttpOptions): Client {
  const http = createHttp(options);
  const runs = createRuns(http);
  return {
    baseUrl: http.baseUrl,
    workflows: createWorkflows(http),
    runs,
    tasks: createTasks(http),
    queue: createQueue(http),
    artifacts: createArtifacts(http),
    schedules: createSchedules(http),
    reports: createReports(http),
    secrets: createSecrets(http),
    hooks: createHooks(http),
    bulk: createBulk(http),
    audit: createAudit(http),
    auth: createAuth(http),
    watch: (runId, watchOptions) => watchRun(http, { id: runId, isOver: runs.isOver(runId) }, watchOptions),
    health: () => readHealth(http),
  };
}

const readHealth = ({ baseUrl, api }: Http) => answeredAtLast(baseUrl, () => api.GET('/health'));
