import type { Json, JsonObject, JsonSchema } from '../json.ts';

/** inline: pure and short · effect: touches the outside · control: waits */
export type TaskClass = 'inline' | 'effect' | 'control';
export const INLINE = 0;
export const EFFECT = 1;
export const CONTROL = 2;

/**
 * `[dependency, mask, branches?]`: the edge is satisfied when bit `outcome` of the mask is set; a completed switch
 * satisfies it only if the branch it took is listed (see Graph).
 */
export type Edge = readonly [dependency: number, mask: number, branches?: readonly number[]];

/**
 * The part of a plan that order depends on, as parallel arrays indexed by task. Small, and free of user data beyond
 * task ids and kinds, because it crosses into the workflow's history.
 */
export type Graph = {
  names: string[];
  kinds: string[];
  /** INLINE | EFFECT | CONTROL; a mapped effect is CONTROL, since its items are run by slices. */
  classes: number[];
  deps: Edge[][];
  /** How many edges must be satisfied; 0 = all of them. */
  need: number[];
  /** 1 = `onError: continue`. */
  tolerant: (0 | 1)[];
  failFast: 0 | 1;
  /** The first task of `finally`; all of them come after the others. Missing: there is none. */
  finally?: number;
  /** Of each compensation, which are the last tasks of all, the task that it undoes. Missing: there is none. */
  undoes?: number[];
  /** Those of them that are mapped: they may have succeeded in part. */
  undoesItems?: number[];
  /** 1 = its attempts may have to wait in a line; missing: none. */
  limited?: (0 | 1)[];
  /** Tasks go one at a time, in the order of their numbers. */
  inTurn?: 1;
  /** Of tasks that are ready, those of a lower rank go first. Missing: as they become ready. */
  rank?: number[];
  /** How many tasks that are at work elsewhere may be under way at once. Missing: any number. */
  places?: number;
};

/** standard: every run is a Temporal workflow · express: only one that needs more than its first segment */
export type Mode = 'standard' | 'express';
export const MODES: readonly Mode[] = ['standard', 'express'];

/** In which order tasks begin that could. `adaptive` chooses one of the others. */
export const STRATEGIES = ['sequential', 'parallel', 'priority_based', 'balanced', 'adaptive'] as const;
export type Strategy = (typeof STRATEGIES)[number];
/** So many tasks are few to `adaptive`. */
export const MAX_FEW = 3;
/** `why`: nothing was asked for, it was asked for by name, or what `adaptive` has found. */
export type StrategyChoice = {
  asked: Strategy;
  used: Exclude<Strategy, 'adaptive'>;
  why: 'default' | 'asked' | 'few_tasks' | 'no_dependencies' | 'dependencies';
  /** Whoever started the run asked for it. Missing: the definition, or nobody. */
  by?: 'start';
};
/** What whoever starts a run says of the order of its tasks; it goes before what the definition says. */
export type AskedOrder = { strategy?: Strategy | undefined; maxConcurrency?: number | undefined };

export type RetryPolicy = {
  /** Tries after the first. */
  limit: number;
  delayMs: number;
  backoff: number;
  maxDelayMs: number;
  /** Share of the delay that is random, 0 to 1. */
  jitter: number;
  /** Failure codes worth a retry; undefined = those the kind declares. */
  codes?: string[];
  except?: string[];
};

/** A JSON value in which strings may hold `${…}`: source text, compiled when first needed (`domain/expression`). */
export type Template = Json;

export type MapPlan = {
  items: Template | { matrix: Record<string, Template> };
  as: string;
  /** An item is a list of so many elements; left out: it is an element. */
  batch?: number;
  maxConcurrency: number;
  /** How many failed items leave the task completed. */
  tolerate?: { count: number } | { percent: number };
  if?: string;
};

export const CONFLICTS = ['queue', 'reject', 'cancelOlder'] as const;
/** What becomes of a run when as many of its concurrency key are open as may be. */
export type OnConflict = (typeof CONFLICTS)[number];

/** How many runs of a key, within a workspace, may be open at once. The key is evaluated when a run is accepted. */
export type Concurrency = { key: Template; limit: number; onConflict: OnConflict };

/** How many attempts of a key, within a workspace, may be at work at once, or begin in a time. */
export type TaskLimit = { key: Template; concurrency?: number; rate?: { limit: number; perMs: number } };

/** `max` rounds in all; from the end of one to the begin of the next, ms. */
export type LoopPlan = { until: string; everyMs: number; max: number; onExhausted: 'fail' | 'continue' };

/** What a deadline makes of a task that waits, instead of `timed_out`. */
export const ON_DEADLINE = ['fail', 'approve', 'reject', 'continue'] as const;
export type OnDeadline = (typeof ON_DEADLINE)[number];

export type PlanTask = {
  id: string;
  kind: string;
  if?: string;
  with: { [field: string]: Template };
  map?: MapPlan;
  retry?: RetryPolicy;
  /** One attempt, of effects and activities. */
  timeoutMs?: number;
  /** The whole task with its retries and waiting. */
  deadlineMs?: number;
  onDeadline?: OnDeadline;
  outputSchema?: JsonSchema;
  /** Of its attempts, effects only. */
  limits?: TaskLimit[];
  /** Indexes of the tasks its expressions name, ascending: what has to be read before it can run. */
  reads: number[];
  title?: string;
  /** Repeated until a condition on its own output holds. */
  loop?: LoopPlan;
  /** A compensation: the task that it undoes. */
  undoes?: number;
  /** What runs for each item instead of another run's definition. */
  each?: Plan;
};

/**
 * What the runs of a map's own tasks may name of what is around them: items, and tasks. It comes with their input (`ScopeInput`).
 * `hidden`: something around is marked, so that none of it is shown.
 */
export type PlanScope = { names: string[]; tasks: string[]; hidden?: true };

/** The compiled, checked, integer-indexed form of a definition. Content-addressed: the same definition gives the same plan. */
export type Plan = {
  format: 1;
  /** Version of the expression engine; a stored plan keeps meaning what it meant. */
  expressions: string;
  name: string;
  version?: string;
  title?: string;
  graph: Graph;
  tasks: PlanTask[];
  inputSchema?: JsonSchema;
  /** Names of top-level input fields with `format: artifact`. */
  artifactInputs: string[];
  /** Duration from acceptance, ms. */
  deadlineMs?: number;
  priority: Template;
  /** Left out: as the operator has set. */
  mode?: Mode;
  /** Left out: none was asked for. */
  strategy?: StrategyChoice;
  labels: JsonObject;
  concurrency?: Concurrency;
  /** Of every effect of the run. */
  limits?: TaskLimit[];
  output?: { value: Template; reads: number[] };
  /** Of all tasks of `finally` together. */
  finallyTimeoutMs?: number;
  /** Of the tasks of a map. */
  scope?: PlanScope;
};
