import { isObject, type Json, type JsonObject } from '../json.ts';
import type { Strategy } from '../plan/plan.ts';
import type { Issue } from '../problem.ts';

/** What a definition of one task is made from: the fields of the task as a definition has them, and its strategy. */
export type OneTask = { type: string; with?: JsonObject; timeout?: Json; deadline?: Json; retry?: Json; strategy?: Strategy };
/** How a client calls its task; the input of its run. */
type TaskNames = { name: string; description: string | null; type: string };

/** Label of the runs that were asked for as one task. */
export const TASK_LABEL = { name: 'tiu.form', value: 'task' } as const;

const ID = 'task';

/** Name of the definition of one task of a kind: all of a kind have one history. */
export const taskWorkflow = (type: string): string => `task-${type.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`.slice(0, 63);

/** The definition of a run of one task, whose output is that of the task. */
export const definitionOf = ({ strategy, ...task }: OneTask): JsonObject => ({
  dsl: 'tiu/1',
  name: taskWorkflow(task.type),
  ...(strategy && { strategy }),
  tasks: { [ID]: task },
  output: { value: `\${tasks.${ID}.output}` },
});

/** Faults of the definition as faults of the request it was made from. @param at JSON Pointer of the request */
export const issuesOf = (issues: readonly Issue[], at: string): Issue[] =>
  issues.map((issue) => ({ ...issue, pointer: at + issue.pointer.replace(new RegExp(`^/tasks/${ID}`), '') }));

/** What the input of a run of one task says of it; another run may have anything there. */
export function namesOf(input: Json): TaskNames {
  const { name, description, type } = isObject(input) ? input : {};
  return {
    name: typeof name === 'string' ? name : '',
    description: typeof description === 'string' ? description : null,
    type: typeof type === 'string' ? type : '',
  };
}
