import { isObject, type Json } from '../json.ts';
import { changedTasks } from '../plan/changedTasks.ts';
import { forkOf, type Fork, type Why } from '../plan/fork.ts';
import { changedFields, inputReaders, type InputFields } from '../plan/inputReaders.ts';
import type { TaskStatus } from '../plan/outcome.ts';
import { countedTasks } from '../plan/phases.ts';
import type { Plan } from '../plan/plan.ts';
import { planMarks } from '../redaction/planMarks.ts';

/** A run that has ended: how its tasks did, by their index. */
type ForkSource = { plan: Plan; input: Json; ended: ReadonlyMap<number, TaskStatus> };

/** The run that is to come of it; tasks by their index in its plan. */
export type ForkRequest = {
  plan: Plan;
  /** Whether its plan is another one than that of the source. */
  edited: boolean;
  input: Json;
  /** Whether the input was given anew. */
  inputGiven: boolean;
  from: readonly number[];
  given: ReadonlySet<number>;
};

/** What of the source is kept, and what runs again and why. */
export function planFork(source: ForkSource, request: ForkRequest): Fork {
  const { plan } = request;
  const sourceIndex = new Map(source.plan.graph.names.map((name, task) => [name, task]));
  const ended = new Map(
    plan.graph.names.flatMap((name, task): [number, TaskStatus][] => {
      const status = source.ended.get(sourceIndex.get(name) ?? -1);
      return status === undefined ? [] : [[task, status]];
    }),
  );
  const asked = request.from.map((task): [number, Why] => [task, { type: 'asked' }]);
  const direct = new Map([
    ...inputReaders(plan, fieldsAnew(source, request)),
    ...(request.edited ? [...hiddenTasks(source.plan, plan), ...changedTasks(source.plan, plan)] : []),
    ...asked,
  ]);
  const partial = new Set([...ended.keys()].filter((task) => isPartial(source, sourceIndex.get(plan.graph.names[task] ?? '') ?? -1)));
  return forkOf(plan.graph, { ended, direct, given: request.given, partial });
}

const BROKEN_OFF: readonly (TaskStatus | undefined)[] = ['failed', 'timed_out', 'cancelled'];

/** Whether a task of the source may have finished items that nobody has begun to undo. */
function isPartial({ plan: { graph, tasks }, ended }: ForkSource, task: number): boolean {
  const undo = graph.undoes?.indexOf(task) ?? -1;
  return tasks[task]?.map !== undefined && BROKEN_OFF.includes(ended.get(task)) && (undo < 0 || !ended.has(countedTasks(graph) + undo));
}

/** Fields of the input that count as changed. A marked one does whenever it is given: whether it is the same is shown to nobody. */
function fieldsAnew(source: ForkSource, { input, inputGiven }: ForkRequest): InputFields {
  const changed = changedFields(source.input, input);
  const marks = planMarks(source.plan).input;
  if (!inputGiven || !marks.any || changed === 'all') return changed;
  return marks.whole || !isObject(input) ? 'all' : new Set([...changed, ...Object.keys(input).filter((field) => marks.field(field).any)]);
}

/** Whether the input of a run may go into one of another plan: what is marked is shown to nobody, and other tasks might show it. */
export const mayTakeInput = (source: Plan): boolean => !planMarks(source).input.any;

/** For the same reason tasks with something marked in their output run again. By their index in the other plan. */
function hiddenTasks(source: Plan, plan: Plan): [number, Why][] {
  const { tasks } = planMarks(source);
  const hidden = new Set(source.graph.names.filter((_, task) => tasks[task]?.output.any));
  return plan.graph.names.flatMap((name, task): [number, Why][] => (hidden.has(name) ? [[task, { type: 'marked' }]] : []));
}
