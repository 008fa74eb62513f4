import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { stopTime } from './time.ts';

/** In place of @temporalio/workflow: what the product's workflows use of it, on instances that a simulated worker activates. */
export { ApplicationFailure, CancelledFailure };

export type Job =
  | { type: 'signal'; name: string }
  | { type: 'cancel' }
  /** `answer` is JSON text, as in a history. */
  | { type: 'resolve'; seq: number; answer: string }
  | { type: 'reject'; seq: number }
  | { type: 'fire'; seq: number };

export type Ending =
  | { how: 'COMPLETED' | 'CANCELLED'; result: string }
  | { how: 'FAILED'; code: string }
  | { how: 'CONTINUED'; args: unknown[]; taskTimeoutMs: number | undefined };

export type Command =
  | { type: 'local' | 'activity'; seq: number; name: string; args: string }
  | { type: 'timer'; seq: number; ms: number }
  | { type: 'cancelTimer'; seq: number }
  | ({ type: 'end' } & Ending);

/** `now`: the time of the history, the same in every replay. */
export type Info = { now: number; historyLength: number; continueAsNewSuggested: boolean };

type Pending = { resolve: (value: unknown) => void; reject: (error: unknown) => void };
type Condition = { holds: () => boolean; resolve: (value: boolean) => void };
type State = {
  seq: number;
  pending: Map<number, Pending>;
  conditions: Set<Condition>;
  handlers: Map<string, () => void>;
  root: CancellationScope;
  scope: CancellationScope;
  commands: Command[];
  info: Info;
  cancelled: boolean;
  /** Waits of this activation that did not wait. */
  turns: number;
};

const MAX_TURNS = 1_000;

let current: State | undefined;
const drain = (process as unknown as { _tickCallback: () => void })._tickCallback.bind(process);

function state(): State {
  if (!current) throw new Error('workflow code runs outside of an activation');
  return current;
}

class Continue extends Error {
  readonly args: unknown[];
  readonly taskTimeoutMs: number | undefined;
  constructor(args: unknown[], taskTimeoutMs: number | undefined) {
    super('continue as new');
    this.args = args;
    this.taskTimeoutMs = taskTimeoutMs;
  }
}

export class CancellationScope {
  static readonly current = (): CancellationScope => state().scope;
  static readonly nonCancellable = <T>(work: () => Promise<T>): Promise<T> => work();
  readonly listeners: (() => void)[] = [];
  get cancelRequested(): Promise<never> {
    return new Promise((_, reject) => {
      this.listeners.push(() => {
        reject(new CancelledFailure('cancelled'));
      });
    });
  }
  run<T>(work: () => Promise<T>): Promise<T> {
    const outer = state().scope;
    state().scope = this;
    const done = work();
    state().scope = outer;
    return done;
  }
  cancel(): void {
    for (const listener of this.listeners.splice(0)) listener();
  }
}

function ask(command: (seq: number) => Command): { seq: number; answer: Promise<unknown> } {
  const { pending, commands } = state();
  const seq = ++state().seq;
  commands.push(command(seq));
  return { seq, answer: new Promise((resolve, reject) => pending.set(seq, { resolve, reject })) };
}

export function sleep(ms: number): Promise<unknown> {
  const { seq, answer } = ask((next) => ({ type: 'timer', seq: next, ms }));
  state().scope.listeners.push(() => {
    const { pending, commands } = state();
    const waiting = pending.get(seq);
    if (!waiting) return;
    pending.delete(seq);
    commands.push({ type: 'cancelTimer', seq });
    waiting.reject(new CancelledFailure('cancelled'));
  });
  return answer;
}

export function condition(holds: () => boolean, timeout?: string | number): Promise<boolean> {
  if (holds()) {
    if (++state().turns > MAX_TURNS) throw new TypeError('the workflow turns without waiting for anything');
    return Promise.resolve(true);
  }
  return new Promise((resolve) => {
    const entry: Condition = { holds, resolve };
    state().conditions.add(entry);
    if (timeout === undefined) return;
    void ask((seq) => ({
      type: 'timer',
      seq,
      ms: typeof timeout === 'number' ? timeout : Number.parseInt(timeout, 10) * 1_000,
    })).answer.then(() => {
      state().conditions.delete(entry);
      resolve(false);
    });
  });
}

type Proxied = ((...args: unknown[]) => Promise<unknown>) & { executeWithOptions: (options: unknown, args: unknown[]) => Promise<unknown> };

const proxies = (type: 'local' | 'activity') => (): unknown => {
  const call = (name: string, args: unknown[]) => ask((seq) => ({ type, seq, name, args: JSON.stringify(args) })).answer;
  const activity = (name: string): Proxied =>
    Object.assign((...args: unknown[]) => call(name, args), { executeWithOptions: (_: unknown, args: unknown[]) => call(name, args) });
  return new Proxy({}, { get: (_, name) => activity(String(name)) });
};

export const proxyActivities = proxies('activity');
export const proxyLocalActivities = proxies('local');

type Signal = { name: string };
export const defineSignal = (name: string): Signal => ({ name });
export const setHandler = (signal: Signal, handler: () => void): void => void state().handlers.set(signal.name, handler);
export const setCurrentDetails = (): void => undefined;
export const patched = (): boolean => true;
export const workflowInfo = (): Info => state().info;
export const makeContinueAsNewFunc =
  (options: { workflowTaskTimeout?: string } = {}) =>
  (...args: unknown[]): Promise<never> =>
    Promise.reject(
      new Continue(args, options.workflowTaskTimeout === undefined ? undefined : Number.parseInt(options.workflowTaskTimeout, 10) * 1_000),
    );

export type Workflow = (args: never) => Promise<unknown>;
export type Instance = {
  /** Applies jobs in order and lets the workflow run until it waits. @returns what it wants done */
  activate: (jobs: readonly Job[], info: Info) => Command[];
};

function endingOf(error: unknown, cancelled: boolean): Ending {
  if (error instanceof Continue) return { how: 'CONTINUED', args: error.args, taskTimeoutMs: error.taskTimeoutMs };
  if (error instanceof CancelledFailure && cancelled) return { how: 'CANCELLED', result: '' };
  if (error instanceof ApplicationFailure) return { how: 'FAILED', code: error.type ?? '' };
  throw error;
}

function apply(of: State, job: Job): void {
  if (job.type === 'signal') of.handlers.get(job.name)?.();
  else if (job.type === 'cancel') {
    of.cancelled = true;
    of.root.cancel();
  } else {
    const waiting = of.pending.get(job.seq);
    of.pending.delete(job.seq);
    if (job.type === 'reject') waiting?.reject(new Error('activity failed'));
    else waiting?.resolve(job.type === 'resolve' && job.answer !== '' ? JSON.parse(job.answer) : undefined);
  }
}

function unblock(of: State): void {
  for (let moved = true; moved;) {
    moved = false;
    for (const entry of of.conditions) {
      if (!entry.holds()) continue;
      of.conditions.delete(entry);
      entry.resolve(true);
      moved = true;
    }
    drain();
  }
}

/** An execution's code in a worker's cache. Fails loudly where Temporal would fail the workflow task for ever. */
export function createInstance(workflow: Workflow, args: unknown): Instance {
  const root = new CancellationScope();
  const own: State = {
    ...{ seq: 0, pending: new Map<number, Pending>(), conditions: new Set<Condition>(), handlers: new Map<string, () => void>() },
    ...{ root, scope: root, commands: [], info: { now: 0, historyLength: 0, continueAsNewSuggested: false }, cancelled: false, turns: 0 },
  };
  let begun = false;
  let failure: unknown;
  const begin = (): void => {
    begun = true;
    workflow(args as never).then(
      (result) => own.commands.push({ type: 'end', how: 'COMPLETED', result: JSON.stringify(result) }),
      (error: unknown) => {
        try {
          own.commands.push({ type: 'end', ...endingOf(error, own.cancelled) });
        } catch (fault) {
          failure = fault;
        }
      },
    );
  };
  return {
    activate: (jobs, info) => {
      current = own;
      stopTime(info.now);
      own.info = info;
      own.commands = [];
      own.turns = 0;
      if (!begun) begin();
      for (const job of jobs) apply(own, job);
      drain();
      unblock(own);
      current = undefined;
      stopTime(undefined);
      if (failure !== undefined) throw failure instanceof Error ? failure : new Error('a workflow failed');
      return own.commands;
    },
  };
}
