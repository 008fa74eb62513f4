import { isObject, type Json } from '../json.ts';
import { hasAttempts, type Kind } from '../kinds/kind.ts';
import { KINDS } from '../kinds/kinds.ts';
import { PROBLEMS } from '../problem.ts';
import { noticeFaults, readReminders } from '../run/reminders.ts';
import { durationMs } from './duration.ts';
import { isForTemporal } from '../plan/activityRetry.ts';
import { LIMITS } from './limits.ts';
import { didYouMean } from './names.ts';
import { holdsExpression, isRetryable, type ReadRetry, type ReadTask } from './normalise.ts';
import { kindNotSupported } from './notSupported.ts';
import { child } from './pointer.ts';
import { notSupported, unknownKey, type Report } from './reader.ts';

/** The contract of a task's kind, or undefined (and why). */
export function kindOf(read: ReadTask, at: string, report: Report): Kind | undefined {
  const { type, map } = read;
  if (map?.tasks !== undefined) return KINDS.workflow;
  if (type === undefined) return undefined;
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (kind !== undefined) return kind;
  const pointer = child(at, 'type');
  if (kindNotSupported(type)) report(notSupported(pointer, `the kind "${type}"`));
  else report({ pointer, code: 'unknown_kind', message: `there is no kind "${type}"`, ...didYouMean(type, Object.keys(KINDS)) });
  return undefined;
}

/** What a task says against what its kind can do. `runDeadlineMs` bounds its own. */
export function checkTask(
  read: ReadTask,
  kind: Kind,
  { at, report, runDeadlineMs }: { at: string; report: Report; runDeadlineMs?: number },
): void {
  if (read.map?.tasks === undefined) checkFields(read.with ?? {}, kind, { at: child(at, 'with'), report });
  else checkInstead(read, { at, report });
  if (kind.name === 'approval') checkApproval(read.with ?? {}, { at: child(at, 'with'), report });
  checkTimes(read, kind, { at, report, ...(runDeadlineMs === undefined ? {} : { runDeadlineMs }) });
  if (read.map !== undefined) checkMap(read.map, kind, { at: child(at, 'map'), report });
  if (read.limits !== undefined && !hasAttempts(kind))
    report({
      pointer: child(at, 'limits'),
      code: 'not_applicable',
      message: `${kind.name} has no attempts to limit`,
      hint: 'limits bound the attempts of effects, such as http, and of activities',
    });
  if (read.loop !== undefined && kind.name === 'activity') report(activityAlone(child(at, 'loop'), 'loop'));
  else if (read.loop !== undefined && kind.class !== 'effect')
    report({
      pointer: child(at, 'loop'),
      code: 'not_applicable',
      message: `${kind.name} gives the same each time`,
      hint: 'loops repeat effects, such as http',
    });
  if (read.onDeadline !== undefined) checkOnDeadline(read, kind, { at: child(at, 'onDeadline'), report });
  if (read.retry !== undefined) {
    const pointer = child(at, 'retry');
    if (!isRetryable(kind)) report({ pointer, code: 'not_applicable', message: `${kind.name} has no failure that a retry could cure` });
    if (typeof read.retry !== 'string') {
      checkRetry(read.retry, Object.keys(kind.failures), { at: pointer, report });
      if (kind.name === 'activity') checkTemporalRetry(read.retry, { at: pointer, report });
    }
  }
}

const activityAlone = (pointer: string, key: 'map' | 'loop') => ({
  ...notSupported(pointer, `\`${key}\` of an activity`),
  hint: '`map.tasks` with the activity in it runs it for each item',
});

/** What its schema does not say. What holds expressions is looked at when it is evaluated. */
function checkApproval(given: { [field: string]: Json }, { at, report }: Place): void {
  const { notify, remind } = given;
  if (isObject(notify))
    for (const { pointer, message } of noticeFaults(notify))
      report({ pointer: `${child(at, 'notify')}${pointer}`, code: 'invalid_value', message });
  if (!isObject(remind) || holdsExpression([remind.every ?? null, remind.after ?? null, remind.max ?? null])) return;
  const read = readReminders(remind);
  if ('faults' in read)
    for (const { pointer, message } of read.faults) report({ pointer: `${child(at, 'remind')}${pointer}`, code: 'invalid_value', message });
}

/** Kinds that wait for somebody, and what a deadline may make of them. */
const DEADLINES: { readonly [kind: string]: readonly string[] } = { approval: ['fail', 'approve', 'reject'], event: ['fail', 'continue'] };

function checkOnDeadline({ onDeadline = 'fail', deadline }: ReadTask, kind: Kind, { at, report }: Place): void {
  const allowed = DEADLINES[kind.name];
  if (allowed === undefined)
    report({ pointer: at, code: 'not_applicable', message: `${kind.name} waits for nobody`, hint: 'it is for event and approval' });
  else if (!allowed.includes(onDeadline))
    report({ pointer: at, code: 'invalid_value', message: `must be ${allowed.join(', ')} for ${kind.name}` });
  else if (deadline === undefined) report({ pointer: at, code: 'not_applicable', message: 'the task has no deadline' });
}

type Place = { at: string; report: Report };

/** A retry policy, wherever it is written. `failures`: codes that it is likely to mean. */
export function checkRetry(retry: ReadRetry, failures: readonly string[], { at, report }: Place): void {
  for (const list of ['codes', 'except'] as const)
    for (const [i, code] of (retry[list] ?? []).entries())
      if (!Object.hasOwn(PROBLEMS, code))
        report({
          pointer: child(child(at, list), i),
          code: 'unknown_failure',
          message: `nothing fails with "${code}"`,
          ...didYouMean(code, failures),
        });
  const { delay, maxDelay } = retry;
  if (delay !== undefined && maxDelay !== undefined && delay > maxDelay)
    report({ pointer: child(at, 'delay'), code: 'invalid_value', message: 'is longer than maxDelay' });
}

/** Temporal repeats an activity, not we: it can be told that timeouts are final, and no more. */
function checkTemporalRetry(retry: ReadRetry, { at, report }: Place): void {
  if (!isForTemporal(retry))
    report({
      pointer: at,
      code: 'not_applicable',
      message: 'Temporal repeats an activity after activity_failed, and after task_timed_out unless that is left out; nothing else',
      hint: 'which failures are final is said by the activity, with a non-retryable one',
    });
}

function checkFields(given: { [field: string]: Json }, kind: Kind, { at, report }: Place): void {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(kind.with, name) && !name.startsWith('x-')) report(unknownKey(name, at, Object.keys(kind.with)));
  for (const [name, { required }] of Object.entries(kind.with))
    if (required && !Object.hasOwn(given, name)) report({ pointer: at, code: 'missing_key', message: `${kind.name} needs \`${name}\`` });
  const choice = kind.exactlyOne;
  if (choice !== undefined && choice.filter((name) => Object.hasOwn(given, name)).length !== 1)
    report({ pointer: at, code: 'invalid_value', message: `${kind.name} needs exactly one of ${choice.join(', ')}` });
  for (const [name, value] of Object.entries(given))
    if (isLiteral(kind, name) && holdsExpression(value))
      report({ pointer: child(at, name), code: 'literal_needed', message: `\`${name}\` of ${kind.name} may not hold expressions` });
}

/** A map with tasks of its own says with them what it does. */
function checkInstead(read: ReadTask, { at, report }: Place): void {
  for (const key of ['type', 'with'] as const)
    if (read[key] !== undefined)
      report({ pointer: child(at, key), code: 'not_applicable', message: 'the map has `tasks`, which stand instead of `type` and `with`' });
}

function isLiteral(kind: Kind, name: string): boolean {
  const field = Object.hasOwn(kind.with, name) ? kind.with[name] : undefined;
  return field?.form === 'literal' && field.definition !== true && kind.name !== 'switch';
}

function checkTimes(read: ReadTask, kind: Kind, { at, report, runDeadlineMs }: Place & { runDeadlineMs?: number }): void {
  const { timeout, deadline } = read;
  if (timeout !== undefined && !hasAttempts(kind))
    report({
      pointer: child(at, 'timeout'),
      code: 'not_applicable',
      message: `${kind.name} has no attempts to time out`,
      hint: 'a `deadline` bounds the whole task',
    });
  if (timeout === 0) report({ pointer: child(at, 'timeout'), code: 'invalid_value', message: 'must be longer than nothing' });
  if (deadline === 0) report({ pointer: child(at, 'deadline'), code: 'invalid_value', message: 'must be longer than nothing' });
  if (deadline !== undefined && runDeadlineMs !== undefined && deadline > runDeadlineMs)
    report({ pointer: child(at, 'deadline'), code: 'deadline_too_long', message: "is past the run's own deadline" });
  const bound = Math.min(deadline ?? Infinity, runDeadlineMs ?? Infinity);
  const waited = kind.name === 'wait' && read.with?.for !== undefined ? durationMs(read.with.for) : undefined;
  if (waited !== undefined && waited > bound)
    report({ pointer: child(child(at, 'with'), 'for'), code: 'deadline_too_long', message: 'waits past the deadline' });
}

function checkMap(map: NonNullable<ReadTask['map']>, kind: Kind, { at, report }: Place): void {
  const { items, matrix } = map;
  if (kind.name === 'activity') report(activityAlone(at, 'map'));
  else if ((kind.class === 'control' && kind.name !== 'workflow') || kind.name === 'switch')
    report({ pointer: at, code: 'not_applicable', message: `${kind.name} cannot be mapped` });
  if ((items === undefined) === (matrix === undefined))
    report({ pointer: at, code: 'invalid_value', message: 'must have either `items` or `matrix`' });
  if (items !== undefined) checkList(items, { at: child(at, 'items'), report });
  if (isObject(matrix)) {
    if (Object.keys(matrix).length === 0)
      report({ pointer: child(at, 'matrix'), code: 'invalid_value', message: 'must have at least one list' });
    for (const [name, values] of Object.entries(matrix)) checkList(values, { at: child(child(at, 'matrix'), name), report });
    const size = Object.values(matrix).reduce<number>((product, values) => product * (Array.isArray(values) ? values.length : 1), 1);
    if (size > LIMITS.values) report({ pointer: child(at, 'matrix'), code: 'too_large', message: `makes ${size} items` });
  }
}

function checkList(value: Json, { at, report }: Place): void {
  if (Array.isArray(value)) return;
  if (isObject(value) && isObject(value.matrix))
    report({ pointer: at, code: 'invalid_value', message: 'a matrix is written `map: { matrix: … }`, beside the other keys' });
  else if (typeof value !== 'string' || !value.startsWith('${') || !value.endsWith('}'))
    report({ pointer: at, code: 'invalid_type', message: 'must be a list, or one expression that gives a list' });
}
