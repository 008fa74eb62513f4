import { compileTemplate } from '../expression/compileTemplate.ts';
import type { Reference } from '../expression/expression.ts';
import { plainReference } from '../expression/reference.ts';
import { splitTemplate } from '../expression/segments.ts';
import { isObject, type Json } from '../json.ts';
import { INLINE, type Plan, type PlanScope, type PlanTask } from '../plan/plan.ts';
import { both, fieldsOf, follow, listOf, marksOf, NOTHING, WHOLE, type Marks } from './marks.ts';

/** What of a run's data is shown to nobody. `tasks` are by index; of a mapped task, of one item. */
export type PlanMarks = { input: Marks; tasks: readonly TaskMarks[]; output: Marks };
/** `message`: what a failed assertion says. */
type TaskMarks = { output: Marks; message: boolean };

const known = new WeakMap<Plan, PlanMarks>();

/**
 * What the schemas of a plan mark (`x-secret: true`), and where that goes by expressions: a whole reference keeps its marks,
 * what an expression computes or joins with a marked place is marked whole. What comes back from the outside is marked by its
 * own schema alone.
 */
export function planMarks(plan: Plan): PlanMarks {
  const marks = known.get(plan) ?? (isMarked(plan) ? marksOfPlan(plan) : unmarked(plan));
  known.set(plan, marks);
  return marks;
}

/** The marks of a task's output as everybody else sees it: of a mapped one, a list. */
export const outputMarks = (plan: Plan, task: number): Marks => {
  const { output } = planMarks(plan).tasks[task] ?? { output: NOTHING };
  return plan.tasks[task]?.map ? listOf(() => output, output.any) : output;
};

const isMarked = (plan: Plan): boolean =>
  plan.scope?.hidden === true || marksOf(plan.inputSchema).any || plan.tasks.some((task) => declaredOf(task).any);

/** What the schema of a task's output says, and, of the tasks of a map, what those of their last ones say. */
const declaredOf = ({ outputSchema, each }: PlanTask): Marks =>
  each === undefined ? marksOf(outputSchema) : both(marksOf(outputSchema), planMarks(each).output);

const unmarked = (plan: Plan): PlanMarks => ({
  input: NOTHING,
  tasks: plan.tasks.map(() => ({ output: NOTHING, message: false })),
  output: NOTHING,
});

/** What a reference names. */
type Place = (reference: Reference) => Marks;
type Scope = { place: Place; names: readonly string[]; tasks: ReadonlySet<string> };

function marksOfPlan(plan: Plan): PlanMarks {
  const around = plan.scope?.hidden ? WHOLE : NOTHING; // of what came with the input from around a map
  const input = both(marksOf(plan.inputSchema), around);
  const { names } = plan.graph;
  const outside: PlanScope = plan.scope ?? { names: [], tasks: [] };
  const tasks: TaskMarks[] = [];
  const views = new Map<string, Marks>();
  const place: Place = ({ root, task, field, path }) => {
    if (root === 'input') return follow(input, path);
    if (outside.names.includes(root) || (root === 'tasks' && task !== undefined && outside.tasks.includes(task))) return around;
    const view = root === 'tasks' && task !== undefined ? views.get(task) : undefined;
    return view === undefined ? NOTHING : follow(view, [...(field === undefined ? [] : [field]), ...path]);
  };
  const scope: Scope = { place, names: ['input', 'tasks', 'run', ...outside.names], tasks: new Set([...names, ...outside.tasks]) };
  // In order: what a task names has a lower number.
  for (const [index, task] of plan.tasks.entries()) {
    const marks = marksOfTask(task, plan.graph.classes[index] ?? INLINE, scope);
    tasks.push(marks);
    views.set(names[index] ?? '', viewOf(task, marks.output));
  }
  return { input, tasks, output: plan.output ? marksOfTemplate(plan.output.value, scope) : NOTHING };
}

/** A task as expressions name it. */
function viewOf(task: PlanTask, output: Marks): Marks {
  if (!task.map) return fieldsOf(new Map([['output', output]]));
  const items = listOf(() => fieldsOf(new Map([['output', output]])), output.any);
  return fieldsOf(new Map([['output', listOf(() => output, output.any)], ['items', items]])); // prettier-ignore
}

/** Their output is of their own words. */
const WORDLESS = new Set(['assert', 'switch', 'wait', 'approval']);

function marksOfTask(task: PlanTask, taskClass: number, outer: Scope): TaskMarks {
  const scope = task.map ? withItem(task, outer) : outer;
  const declared = declaredOf(task);
  if (task.kind === 'transform') return { output: both(declared, marksOfTemplate(task.with.value ?? null, scope)), message: false };
  if (task.kind === 'assert') return { output: declared, message: marksOfTemplate(task.with.message ?? null, scope).any };
  const told =
    taskClass === INLINE && !WORDLESS.has(task.kind) && Object.values(task.with).some((field) => marksOfTemplate(field, scope).any);
  return { output: told ? WHOLE : declared, message: false };
}

function withItem(task: PlanTask, outer: Scope): Scope {
  const { items = null, as = 'item', batch } = task.map ?? {};
  const list = marksOfTemplate(items, outer);
  const element = typeof items === 'string' ? list.element(0) : list.any ? WHOLE : NOTHING;
  const item = batch === undefined ? element : listOf(() => element, element.any);
  return {
    ...outer,
    names: [...outer.names, as, 'item', 'index'],
    place: (reference) => (reference.root === as || reference.root === 'item' ? follow(item, reference.path) : outer.place(reference)),
  };
}

function marksOfTemplate(template: Json, scope: Scope): Marks {
  if (typeof template === 'string') return marksOfText(template, scope);
  if (Array.isArray(template)) {
    const parts = template.map((part) => marksOfTemplate(part, scope));
    return listOf((index) => parts[index] ?? NOTHING, parts.some(({ any }) => any)); // prettier-ignore
  }
  if (!isObject(template)) return NOTHING;
  return fieldsOf(new Map(Object.entries(template).map(([name, part]) => [name, marksOfTemplate(part, scope)])));
}

function marksOfText(text: string, { place, names, tasks }: Scope): Marks {
  if (!text.includes('${')) return NOTHING;
  const segments = splitTemplate(text);
  const [only] = Array.isArray(segments) ? segments : [];
  const whole =
    Array.isArray(segments) && segments.length === 1 && only && 'expression' in only ? plainReference(only.expression) : undefined;
  if (whole) return place(whole);
  const compiled = compileTemplate(text, { names, tasks, secrets: true });
  return 'compiled' in compiled && compiled.compiled.references.every((reference) => !place(reference).any) ? NOTHING : WHOLE;
}
