import { type Context, refuse, suggestion } from './code.ts';
import type { Reference } from './expression.ts';
import { SECRET_NAME } from '../secret/name.ts';
import { nearest } from './nearest.ts';
import type { Node } from './parse.ts';

/** One field or index of a chain; `constant` when it is known at compile. */
export type Step = { constant: string | number | undefined; at: number; optional: boolean };

type Root = Extract<Node, { op: 'id' }>;

const TASK_FIELDS = ['output', 'status', 'error', 'items'];
const RUN_FIELDS = ['id', 'status', 'startedAt'];

/** The leading part of a chain that is known at compile, as strings. */
function constantKeys(steps: readonly Step[]): string[] {
  const end = steps.findIndex((step) => step.constant === undefined);
  return (end === -1 ? steps : steps.slice(0, end)).map((step) => String(step.constant));
}

function unknownRoot(root: Root, context: Context): void {
  const known = [...context.locals.map((local) => local.name), ...context.scope.names];
  const isAfterDash = /[A-Za-z0-9_]-$/.test(context.text.slice(0, root.start));
  const dashed = isAfterDash ? 'A name with a dash is written input["a-b"]' : undefined;
  const hint = suggestion(nearest(root.args, known)) ?? dashed ?? (known.length === 0 ? undefined : `Known here: ${known.join(', ')}`);
  refuse(context, root.pos, { code: 'unknown_name', message: `Unknown name '${root.args}'`, hint });
}

function checkTask(root: Root, steps: readonly Step[], context: Context): boolean {
  const [task, field] = steps;
  if (typeof task?.constant !== 'string') {
    const hint = 'Write tasks.<id>.output or tasks["<id>"].output';
    refuse(context, root.pos, { code: 'task_not_named', message: 'A task must be named, so that its dependants are known', hint });
    return false;
  }
  const { tasks } = context.scope;
  if (tasks?.has(task.constant) === false) {
    const dashed = [...tasks].find((id) => id.startsWith(`${String(task.constant)}-`));
    const hint = dashed === undefined ? suggestion(nearest(task.constant, tasks)) : `A task with a dash is written tasks["${dashed}"]`;
    refuse(context, task.at, { code: 'unknown_task', message: `No task '${task.constant}'`, hint });
    return false;
  }
  if (field === undefined) return true;
  return checkField(field, { what: `A task`, fields: TASK_FIELDS }, context);
}

function checkField(step: Step, { what, fields }: { what: string; fields: readonly string[] }, context: Context): boolean {
  if (step.constant !== undefined && fields.includes(String(step.constant))) return true;
  const name = String(step.constant ?? '…');
  const hint = suggestion(nearest(name, fields)) ?? `It has ${fields.join(', ')}`;
  refuse(context, step.at, { code: 'unknown_field', message: `${what} has no field '${name}'`, hint });
  return false;
}

function checkSecret(root: Root, steps: readonly Step[], context: Context): boolean {
  if (context.scope.secrets !== true) {
    const message = 'Secrets are allowed only in the fields that a kind marks for them';
    refuse(context, root.pos, { code: 'secret_not_allowed', message });
    return false;
  }
  // Computing with a secret could carry it into a message or into data.
  const isPlain = steps.length === 1 && plainReference(context.text) !== undefined;
  const name = steps[0]?.constant;
  if (isPlain && typeof name === 'string' && SECRET_NAME.test(name)) return true;
  if (isPlain) {
    const message = `A secret cannot be called '${String(name)}'`;
    refuse(context, root.pos, { code: 'invalid_name', message, hint: 'Letters, digits, _ and -, from a letter on, at most 63' });
    return false;
  }
  refuse(context, root.pos, {
    code: 'secret_not_plain',
    message: 'A secret is named alone: it cannot be part of a larger expression',
    hint: 'Write "${secrets.name}", or join it with text: "Bearer ${secrets.name}"',
  });
  return false;
}

function isKnown(root: Root, steps: readonly Step[], context: Context): boolean {
  if (root.args === 'secrets') return checkSecret(root, steps, context);
  if (!context.scope.names.includes(root.args)) {
    unknownRoot(root, context);
    return false;
  }
  if (root.args === 'tasks') return checkTask(root, steps, context);
  const [first] = steps;
  if (root.args === 'run' && first !== undefined) return checkField(first, { what: 'The run', fields: RUN_FIELDS }, context);
  return true;
}

function toReference(root: string, keys: readonly string[]): Reference {
  if (root !== 'tasks') return { root, path: [...keys] };
  const [task, field, ...path] = keys;
  return { root, ...(task === undefined ? {} : { task }), ...(field === undefined ? {} : { field }), path };
}

/** Checks what a chain names against the scope and records the part known at compile. False when an issue was recorded. */
export function addReference(root: Root, steps: readonly Step[], context: Context): boolean {
  if (!isKnown(root, steps, context)) return false;
  const reference = toReference(root.args, constantKeys(steps));
  const text = JSON.stringify(reference);
  if (!context.references.some((other) => JSON.stringify(other) === text)) context.references.push(reference);
  return true;
}

const PLAIN = /^\s*[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*|\s*\[\s*(?:\d{1,9}|"[^"\\\n]*"|'[^'\\\n]*')\s*\])*\s*$/;
const PLAIN_STEP = /[A-Za-z_]\w*|\d+|"[^"]*"|'[^']*'/g;

/**
 * The reference when the text is nothing but names, constant fields and constant indexes: `tasks.a.output.x[0]`, `tasks["my-id"].output`.
 * Told from the text, so that a caller can pass the referenced value on unread.
 */
export function plainReference(text: string): Reference | undefined {
  if (!PLAIN.test(text)) return undefined;
  const [root, ...keys] = text.match(PLAIN_STEP) ?? [];
  if (root === undefined || root === 'true' || root === 'false' || root === 'null') return undefined;
  return toReference(
    root,
    keys.map((key) => (key.startsWith('"') || key.startsWith("'") ? key.slice(1, -1) : key)),
  );
}
