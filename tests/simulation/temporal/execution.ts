import type { Clock } from '../clock.ts';
import type { Command, Info, Instance, Job } from '../substitutes/workflow.ts';

/** What one turn of a workflow's code was given and what it wanted: a history, as a replay needs it. */
type Activation = { jobs: Job[]; info: Info; wanted: string };

type Activities = { readonly [name: string]: (...args: never[]) => Promise<unknown> };

/** A worker process as Temporal sees it. */
export type Host = { owner: number; identity: string; activities: Activities; cache: Map<string, Cached> };

/** An execution in a worker's cache. */
export type Cached = {
  instance: Instance;
  /** Recorded activations that it has seen. */
  applied: number;
  /** It has seen more than is recorded: unless its task completes, it has to be made again. */
  ahead: boolean;
  locals: Set<number>;
  inbox: Job[];
  task: Task | null;
  sending: boolean;
};

export type Task = { host: Host; jobs: Job[]; activations: Activation[]; commands: Command[]; begun: number };

export type ActivityTask = {
  seq: number;
  name: string;
  args: string;
  attempt: number;
  /** Who may complete it: grows with every attempt. */
  token: number;
  beat: number;
};

export type Execution = {
  id: string;
  runId: string;
  type: string;
  args: unknown;
  status: 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED' | 'CONTINUED_AS_NEW';
  terminatedBy: string;
  taskTimeoutMs: number;
  recorded: Activation[];
  historyLength: number;
  pending: Job[];
  buffered: Job[];
  task: Task | null;
  /** A workflow task is due even if nothing happened. */
  wanted: boolean;
  dispatching: boolean;
  attempt: number;
  sticky: Host | null;
  activities: Map<number, ActivityTask>;
  timers: Set<number>;
};

export type Server = {
  clock: Clock;
  random: () => number;
  /** One way, ms. */
  latency: () => number;
  trace: (what: string) => void;
  executions: Map<string, Execution>;
  hosts: Set<Host>;
  down: boolean;
  /** Forces workflows to continue as new early: how many events one counts for. */
  weight: number;
  made: number;
  tokens: number;
  workflows: { readonly [type: string]: (args: never) => Promise<unknown> };
  /** How likely the completion of an activity gets lost. */
  loss: () => boolean;
  onClosed: (execution: Execution, how: Extract<Command, { type: 'end' }>) => void;
};

export const isRunning = (execution: Execution): boolean => execution.status === 'RUNNING';

export const aHostOf = (server: Server): Host | undefined => {
  const alive = [...server.hosts].filter((host) => server.clock.standing(host.owner) === 'alive');
  return alive[Math.floor(server.random() * alive.length)];
};

/** Something happened to the execution; events that come during a workflow task wait for its end. */
export function add(server: Server, execution: Execution, job: Job): void {
  if (!isRunning(execution)) return;
  (execution.task ? execution.buffered : execution.pending).push(job);
}
