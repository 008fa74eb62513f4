import { isObject, type Json, type JsonObject, type JsonSchema } from '../json.ts';
import { isFinalStatus, outcomeOf, TASK_STATUSES, type Outcome } from '../plan/outcome.ts';
import { CONFLICTS, MODES, ON_DEADLINE, STRATEGIES } from '../plan/plan.ts';
import { PRIORITIES } from '../run/priority.ts';
import type { Dependency, Join } from './definition.ts';
import { DURATION_SCHEMA, durationMs } from './duration.ts';
import { trigger } from '../schedule/readSpec.ts';
import { SCHEDULE_LIMITS } from '../schedule/schedule.ts';
import { LIMITS } from './limits.ts';
import { DEFINITION_NAME, isInherited, itemNameFault, TASK_ID, taskIdFault } from './names.ts';
import { NOT_SUPPORTED } from './notSupported.ts';
import {
  anything,
  changed,
  dictionary,
  either,
  fail,
  fields,
  freeObject,
  list,
  number,
  oneOf,
  optional,
  required,
  text,
  word,
  type Reader,
  type Report,
  UNREAD,
} from './reader.ts';

const isText = (value: Json): boolean => typeof value === 'string';
const isList = (value: Json): boolean => Array.isArray(value);

const title = text({ max: LIMITS.titleLength });

const duration: Reader<number> = {
  schema: DURATION_SCHEMA,
  read: (value, at, report) =>
    durationMs(value) ??
    fail(
      {
        pointer: at,
        code: 'invalid_duration',
        message: 'must be a duration such as PT30S, P31D or { minutes: 30 }',
        hint: 'years and months have no fixed length; ten years at most',
      },
      report,
    ),
};

/** A condition is kept as text; `true` and `false` may be written bare. */
const condition: Reader<string> = {
  schema: { type: ['string', 'boolean'] },
  read: (value, at, report) => (typeof value === 'boolean' ? String(value) : text({ max: 100_000 }).read(value, at, report)),
};

/** A JSON Schema as far as its outside goes; what is in it is checked with it. */
const jsonSchema: Reader<JsonSchema> = {
  schema: { type: ['object', 'boolean'] },
  read: (value, at, report) =>
    typeof value === 'boolean' || isObject(value)
      ? value
      : fail({ pointer: at, code: 'invalid_type', message: 'must be a JSON Schema' }, report),
};

const labelValue = changed(
  either<string | number | boolean>('text, a number or a flag', [
    { when: isText, use: text({ max: LIMITS.labelLength }) },
    { when: (value) => typeof value === 'number', use: number({ min: -1e15, max: 1e15 }) },
    { when: (value) => typeof value === 'boolean', use: { schema: { type: 'boolean' }, read: (value) => value === true } },
  ]),
  (value, at, report) =>
    typeof value === 'string' && value.includes('${')
      ? fail({ pointer: at, code: 'invalid_value', message: 'labels hold no expressions' }, report)
      : value,
);

const labels = changed(dictionary(labelValue, labelName), (value, at, report) =>
  Object.keys(value).length > LIMITS.labels
    ? fail({ pointer: at, code: 'invalid_value', message: `at most ${LIMITS.labels} labels` }, report)
    : value,
);

function labelName(name: string, at: string, report: Report): boolean {
  if (/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/.test(name)) return true;
  report({ pointer: at, code: 'invalid_name', message: 'a label is named by 1 to 63 letters, digits and . _ / -' });
  return false;
}

export const retry = fields({
  limit: optional(number({ min: 0, max: LIMITS.retries, integer: true }), 'Tries after the first.'),
  delay: optional(duration, 'Before the first retry.'),
  backoff: optional(number({ min: 1, max: 10 }), 'Factor from each delay to the next.'),
  maxDelay: optional(duration, 'The longest delay.'),
  jitter: optional(number({ min: 0, max: 1 }), 'Share of a delay that is random.'),
  codes: optional(list(text({ max: 100 }), { min: 1, max: 100 }), 'Failure codes worth a retry; those of the kind without it.'),
  except: optional(list(text({ max: 100 }), { max: 100 }), 'Failure codes not worth one.'),
});
type RetryRead = typeof retry extends Reader<infer T> ? T : never;

/** `retry: patient` names a policy of `use`. */
const retryOrName = either<RetryRead | string>('an object, or the name of a policy', [
  { when: isObject, use: retry },
  { when: isText, use: text() },
]);

const use = fields({ retries: optional(dictionary(retry, policyName), 'Retry policies by name.') });

function policyName(name: string, at: string, report: Report): boolean {
  if (TASK_ID.test(name) && !isInherited(name)) return true;
  report({ pointer: at, code: 'invalid_name', message: 'a policy is named by a letter, then up to 62 letters, digits and _' });
  return false;
}

/** A task is compensated only when nothing else is left to be decided. */
const FINAL = TASK_STATUSES.filter((status) => isFinalStatus(status) && status !== 'compensated');
const ALL_FINAL = FINAL.map(outcomeOf);

const when: Reader<Outcome[]> = either('a list of outcomes, or done', [
  { when: isText, use: changed(word(['done']), () => [...ALL_FINAL]) },
  {
    when: isList,
    use: changed(list(word(FINAL), { min: 1, max: FINAL.length }), (words) => [...new Set(words.map(outcomeOf))].sort((a, b) => a - b)),
  },
]);

const dependency: Reader<Dependency> = either('a task id, or { task, when }', [
  { when: isText, use: changed(text(), (task) => ({ task, when: [outcomeOf('completed')] })) },
  {
    when: isObject,
    use: changed(
      fields({ task: required(text(), 'Id of the task.'), when: optional(when, 'Outcomes that let this task run; completed without it.') }),
      ({ task, when: outcomes = [outcomeOf('completed')] }) => (task === undefined ? UNREAD : { task, when: outcomes }),
    ),
  },
]);

const join: Reader<Join> = either<Join>('all, any, { quorum } or { percent }', [
  { when: isText, use: word(['all', 'any']) },
  {
    when: isObject,
    use: oneOf({
      quorum: optional(number({ min: 1, max: LIMITS.dependencies, integer: true }), 'Dependencies that must be satisfied.'),
      percent: optional(number({ min: 1, max: 100 }), 'The same as a share of all, rounded up.'),
    }),
  },
]);

const tolerate = oneOf({
  count: optional(number({ min: 0, max: 1_000_000, integer: true }), 'Failed items.'),
  percent: optional(number({ min: 0, max: 100 }), 'Failed items in a hundred.'),
});

const itemName = changed(
  text({ pattern: /^[A-Za-z_][A-Za-z0-9_]{0,62}$/, shape: 'must be a name: letters, digits and _' }),
  (name, at, report) => {
    const fault = itemNameFault(name);
    return fault === undefined ? name : fail({ pointer: at, code: 'reserved_name', message: fault }, report);
  },
);

export const map = fields({
  items: optional(anything, 'A list, or an expression that gives one.'),
  matrix: optional(dictionary(anything), 'Lists by name; an item is one value of each.'),
  as: optional(itemName, 'What expressions call the item; `item` without it.'),
  batch: optional(
    number({ min: 1, max: LIMITS.mapBatch, integer: true }),
    'An item is a list of so many elements; the last may be shorter.',
  ),
  maxConcurrency: optional(number({ min: 1, max: LIMITS.mapConcurrency, integer: true }), 'Items that run at once; 20 without it.'),
  tolerate: optional(tolerate, 'How many failed items leave the task completed; none without it.'),
  if: optional(condition, 'Items for which it is false are skipped.'),
  tasks: optional(freeObject, 'Tasks that run for each item, instead of `type` and `with`. By id.'),
});

/** Text with expressions in it, as it was written. */
const keyText: Reader<string> = {
  schema: { type: 'string', minLength: 1 },
  read: (value, at, report) =>
    typeof value === 'string' && value !== ''
      ? value
      : fail({ pointer: at, code: 'invalid_type', message: 'must be text, which may hold expressions' }, report),
};

const slots = number({ min: 1, max: LIMITS.slots, integer: true });

const concurrency = fields({
  key: required(keyText, 'Runs of one workspace with the same key count together; may hold expressions on the input.'),
  limit: optional(slots, 'How many of them may be open at once; 1 without it.'),
  onConflict: optional(
    word(CONFLICTS),
    'When that many are: `queue` waits (without it), `reject` refuses the new run, `cancelOlder` asks older ones to end.',
  ),
});

const limit = changed(
  fields({
    key: required(keyText, 'Attempts of one workspace with the same key count together; may hold expressions on the input (and the item).'),
    rate: optional(
      fields({
        limit: required(number({ min: 1, max: LIMITS.rate, integer: true }), 'How many may begin in that time.'),
        per: required(duration, 'The time.'),
      }),
      'A bucket of that many tokens, refilled evenly: a pause is followed by a burst of at most `limit`.',
    ),
    concurrency: optional(slots, 'How many may be at work at once.'),
  }),
  (read, at, report) => {
    if (read.rate?.per === 0) report({ pointer: `${at}/rate/per`, code: 'invalid_value', message: 'must be longer than nothing' });
    if (read.rate !== undefined || read.concurrency !== undefined) return read;
    return fail({ pointer: at, code: 'invalid_value', message: 'must have `rate`, `concurrency` or both' }, report);
  },
);

const limits = list(limit, { min: 1, max: LIMITS.limits });

const typeText = text({ max: 100 });
const typeOfTask = required(typeText, 'The kind.');
const titleOfTask = optional(title, 'For people.');
const input = optional(freeObject, 'Input, by kind.');
const retryOfTask = optional(retryOrName, 'When an attempt fails: a policy, or the name of one in `use.retries`.');
const timeout = optional(duration, 'Of one attempt; effects and activities.');
const deadline = optional(duration, 'Of the whole task with its retries and waiting.');
const limitsOfTask = optional(limits, 'What its attempts share with others; effects and activities only, per item of a mapped task.');

const loop = fields({
  until: required(condition, 'Ends it when true; may name the output of the task itself.'),
  max: required(number({ min: 1, max: LIMITS.rounds, integer: true }), 'Rounds in all.'),
  every: optional(duration, 'From the end of a round to the next; at once without it.'),
  onExhausted: optional(
    word(['fail', 'continue']),
    'After the last round: `fail` without it; `continue` completes the task with the last output.',
  ),
});

const compensate = fields({
  type: typeOfTask,
  title: titleOfTask,
  if: optional(condition, 'Undone only if true.'),
  with: input,
  retry: retryOfTask,
  timeout,
  deadline,
  limits: limitsOfTask,
});

const taskFields = fields(
  {
    type: optional(typeText, 'The kind; of a map with `tasks`, none.'),
    title: titleOfTask,
    if: optional(condition, 'Runs only if true; else the task is skipped.'),
    dependsOn: optional(
      list(dependency, { max: LIMITS.dependencies }),
      'Tasks that come before this one, besides those its expressions name.',
    ),
    join: optional(join, 'How many dependencies must be satisfied: all, any one, so many or a share of them.'),
    with: input,
    map: optional(map, 'Runs the task once for each item.'),
    retry: retryOfTask,
    timeout,
    deadline,
    onDeadline: optional(
      word(ON_DEADLINE),
      'What the deadline makes of a task that waits: `approve` and `reject` of approvals, `continue` completes it, `fail` without it.',
    ),
    output: optional(fields({ schema: required(jsonSchema, 'JSON Schema 2020-12 that the output must match.') }), 'About the output.'),
    limits: limitsOfTask,
    loop: optional(loop, 'Repeats an effect; the output is that of the last round. Per item of a mapped task.'),
    compensate: optional(
      compensate,
      'Undoes the task when the run does not succeed, after all tasks have settled; per item of a mapped task.',
    ),
    onError: optional(word(['fail', 'continue']), '`continue`: a failure of this task does not fail the run.'),
    priority: optional(word(PRIORITIES), 'Among tasks that are ready, with a `strategy` that looks at it; `normal` without it.'),
    labels: optional(labels, 'Names and values to find it by.'),
    metadata: optional(freeObject, 'Free.'),
  },
  NOT_SUPPORTED.task,
);

const mapsTasks = (value: JsonObject): boolean => isObject(value.map) && Object.hasOwn(value.map, 'tasks');

/** `with` is read by the kind's contract. */
export const task: typeof taskFields = {
  schema: {
    ...(isObject(taskFields.schema) ? taskFields.schema : {}),
    anyOf: [{ required: ['type'] }, { properties: { map: { required: ['tasks'] } }, required: ['map'] }],
  },
  read: (value, at, report) => {
    const read = taskFields.read(value, at, report);
    if (isObject(value) && !Object.hasOwn(value, 'type') && !mapsTasks(value))
      report({ pointer: at, code: 'missing_key', message: '`type` is required' });
    return read;
  },
};

const definitionName = changed(
  text({ pattern: DEFINITION_NAME, shape: 'must be 1 to 63 characters: a lower-case letter, then lower-case letters, digits and -' }),
  (name, at, report) =>
    isInherited(name) ? fail({ pointer: at, code: 'reserved_name', message: `"${name}" cannot name a definition` }, report) : name,
);

function taskId(id: string, at: string, report: Report): boolean {
  const fault = TASK_ID.test(id) ? taskIdFault(id) : 'a task is named by a letter, then up to 62 letters, digits and _';
  if (fault === undefined) return true;
  report({ pointer: at, code: TASK_ID.test(id) ? 'reserved_name' : 'invalid_name', message: fault });
  return false;
}

const byId = dictionary(task, taskId);

const tasks: typeof byId = {
  schema: byId.schema,
  read: (value, at, report) => {
    const count = isObject(value) ? Object.keys(value).length : 1;
    if (count === 0) report({ pointer: at, code: 'invalid_value', message: 'must have at least one task' });
    if (count <= LIMITS.tasks) return byId.read(value, at, report);
    return fail({ pointer: at, code: 'too_large', message: `at most ${LIMITS.tasks} tasks, has ${count}` }, report);
  },
};

const priority: Reader<string> = {
  schema: { type: 'string' },
  read: (value, at, report) => (typeof value === 'string' && value.includes('${') ? value : word(PRIORITIES).read(value, at, report)),
};

const SEMVER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]{1,64})?(\+[0-9A-Za-z.-]{1,64})?$/;

/** A whole definition, key by key. What its parts mean together is checked afterwards. */
export const document = fields(
  {
    dsl: required(word(['tiu/1']), 'The format.'),
    name: required(definitionName, 'Also the Temporal workflow type of its runs.'),
    version: optional(text({ pattern: SEMVER, max: 200, shape: 'must be a semantic version such as 1.0.0' }), 'Semantic version.'),
    title: optional(title, 'For people.'),
    input: optional(fields({ schema: required(jsonSchema, 'JSON Schema 2020-12 of the input.') }), 'What a run is given.'),
    deadline: optional(duration, 'Of the whole run.'),
    priority: optional(priority, `${PRIORITIES.join(', ')}, or an expression on the input.`),
    mode: optional(word(MODES), '`standard`: every run is a Temporal workflow. `express`: one that ends in its first segment is none.'),
    labels: optional(labels, 'Names and values to find runs by.'),
    onError: optional(
      word(['finish', 'failFast']),
      '`failFast` cancels the rest at the first failure; `finish` lets independent branches end.',
    ),
    strategy: optional(
      word(STRATEGIES),
      'In which order tasks begin: `sequential` one at a time, `parallel` (without it) as soon as they can, `priority_based` the higher `priority` first, `balanced` then the one with the longest way behind it, `adaptive` chooses.',
    ),
    maxConcurrency: optional(
      number({ min: 1, max: LIMITS.runConcurrency, integer: true }),
      'Tasks of a run at work at once that touch the outside, are mapped over what does or start a run; any number without it.',
    ),
    concurrency: optional(concurrency, 'How many runs may be open at once, by key.'),
    limits: optional(limits, 'What the attempts of every effect and activity of the run share with others.'),
    use: optional(use, 'What tasks may refer to by name.'),
    defaults: optional(
      fields({
        retry: optional(retryOrName, 'Of every task whose kind retries.'),
        timeout: optional(duration, 'Of every effect and activity.'),
      }),
      'For tasks that do not say.',
    ),
    tasks: required(tasks, 'By id.'),
    output: optional(fields({ value: required(anything, 'Any value; may hold expressions.') }), 'What a run gives.'),
    finally: optional(tasks, 'Tasks that run last, however the run ends; a failure of theirs does not change how. By id.'),
    finallyTimeout: optional(duration, 'Of all of them together, PT5M without it; what is left is then cancelled.'),
    triggers: optional(list(trigger, { max: SCHEDULE_LIMITS.triggers }), 'When runs of the stored definition start by themselves.'),
    metadata: optional(freeObject, 'Free.'),
  },
  NOT_SUPPORTED.root,
);
