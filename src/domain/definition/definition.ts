import type { Json, JsonObject, JsonSchema } from '../json.ts';
import type { Outcome } from '../plan/outcome.ts';
import type {
  Concurrency,
  LoopPlan,
  MapPlan,
  Mode,
  OnDeadline,
  PlanScope,
  RetryPolicy,
  Strategy,
  TaskLimit,
  Template,
} from '../plan/plan.ts';
import type { Priority } from '../run/priority.ts';
import type { Trigger } from '../schedule/readSpec.ts';

/** An edge somebody wrote: `when` = outcomes of the dependency that satisfy it, ascending. */
export type Dependency = { task: string; when: Outcome[] };

/** How many of a task's dependencies must be satisfied; a percentage is rounded up. */
export type Join = 'all' | 'any' | { quorum: number } | { percent: number };

export type DefinitionTask = {
  type: string;
  title?: string;
  if?: string;
  dependsOn: Dependency[];
  join: Join;
  with: { [field: string]: Json };
  map?: MapPlan;
  /** `map.tasks`: what runs for each item, as a definition of its own; `with.input` is what it gets. */
  each?: Definition;
  retry?: RetryPolicy;
  timeoutMs?: number;
  deadlineMs?: number;
  onDeadline?: OnDeadline;
  outputSchema?: JsonSchema;
  limits?: TaskLimit[];
  loop?: LoopPlan;
  onError: 'fail' | 'continue';
  priority?: Priority;
  /** What undoes it when the run fails; of a mapped task, for each item. It has no dependencies and no map of its own. */
  compensate?: DefinitionTask;
  labels?: JsonObject;
  metadata?: JsonObject;
};

/**
 * A checked definition in its one form: defaults filled in, durations in ms, outcomes as numbers. Two texts that mean
 * the same give the same, so its canonical JSON is what a content hash is taken of.
 */
export type Definition = {
  dsl: 'tiu/1';
  name: string;
  version?: string;
  title?: string;
  inputSchema?: JsonSchema;
  deadlineMs?: number;
  priority: Template;
  mode?: Mode;
  strategy?: Strategy;
  maxConcurrency?: number;
  /** The strategy is not what was written, but what whoever starts a run asks for. */
  strategyBy?: 'start';
  /** Ids of all tasks as they were written, where the strategy looks at that: without it two orders are one definition. */
  order?: string[];
  labels: JsonObject;
  onError: 'finish' | 'failFast';
  concurrency?: Concurrency;
  limits?: TaskLimit[];
  tasks: { [id: string]: DefinitionTask };
  /** Tasks that run when all others have settled, however the run ends. */
  finally?: { [id: string]: DefinitionTask };
  /** Of all of them together. */
  finallyTimeoutMs?: number;
  output?: { value: Template };
  /** Schedules that storing it makes. */
  triggers?: Trigger[];
  /** Of the tasks of a map. */
  scope?: PlanScope;
  metadata?: JsonObject;
};
