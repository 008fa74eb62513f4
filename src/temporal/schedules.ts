import { createHash } from 'node:crypto';
import {
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type CalendarSpec,
  type Client,
  type ScheduleDescription,
  type ScheduleSpec as TemporalSpec,
} from '@temporalio/client';
import { rangesOf, cronText } from '../domain/schedule/ranges.ts';
import type { Calendar, ScheduleSpec } from '../domain/schedule/schedule.ts';
import { isUnreadable } from './dataConverter.ts';
import { createCaller, type ExecutionsDeps } from './executions.ts';
import { FIRE, fireWorkflowId, scheduleId } from './names.ts';

/** What Temporal is told about a schedule: when it fires, and no data. */
type ScheduleHead = {
  id: string;
  name: string;
  definition: string;
  spec: ScheduleSpec;
  catchupMs: number;
  paused: boolean;
  note: string | null;
};

type SeenSchedule = {
  /** Of everything but pause and note: changes when somebody edits the schedule. */
  fingerprint: string;
  paused: boolean;
  note: string;
};

export type TemporalSchedules = {
  /** Creates the schedule or makes it as told. @returns what Temporal then has */
  put: (schedule: ScheduleHead) => Promise<SeenSchedule>;
  /** undefined = Temporal has no such schedule. */
  look: (id: string) => Promise<SeenSchedule | undefined>;
  /** Safe to repeat. */
  remove: (id: string) => Promise<void>;
};

export function createTemporalSchedules(deps: ExecutionsDeps): TemporalSchedules {
  const call = createCaller(deps);
  const taskQueue = deps.config.TIU_TASK_QUEUE;
  const look = (id: string) =>
    unlessGone(async () => {
      const found = await unlessSealed(() => call((client) => client.schedule.getHandle(scheduleId(id)).describe()));
      return found === SEALED ? UNREADABLE : seenOf(found);
    });
  const remove = async (id: string) => {
    await unlessGone(async () => {
      await call((client) => client.schedule.getHandle(scheduleId(id)).delete());
    });
  };
  return {
    put: async (schedule) => {
      const options = optionsOf(schedule, taskQueue);
      const known = await unlessGone(() => unlessSealed(() => call((client) => update(client, scheduleId(schedule.id), options))));
      if (known === SEALED) await remove(schedule.id); // an update reads what is there first
      if (known !== true) await call((client) => client.schedule.create({ ...options, scheduleId: scheduleId(schedule.id) }));
      const seen = await look(schedule.id);
      if (!seen) throw new Error('a schedule that was just made is gone');
      return seen;
    },
    look,
    remove,
  };
}

async function update(client: Client, id: string, options: ReturnType<typeof optionsOf>): Promise<true> {
  await client.schedule.getHandle(id).update(() => options);
  return true;
}

const SEALED = Symbol('sealed with a key that is not here');
/** Differs from whatever was put, so that the schedule is put again, sealed with a key of today. */
const UNREADABLE: SeenSchedule = { fingerprint: 'sealed', paused: false, note: '' };

async function unlessSealed<T>(ask: () => Promise<T>): Promise<T | typeof SEALED> {
  try {
    return await ask();
  } catch (error) {
    if (isUnreadable(error)) return SEALED;
    throw error;
  }
}

async function unlessGone<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

/**
 * Overlap is ours to decide: the workflow that a fire starts ends at once, whatever its run does. So is the limit of actions.
 */
const optionsOf = (schedule: ScheduleHead, taskQueue: string) => ({
  spec: specOf(schedule.spec),
  action: {
    type: 'startWorkflow' as const,
    workflowType: FIRE,
    workflowId: fireWorkflowId(schedule.id),
    taskQueue,
    args: [{ scheduleId: schedule.id }],
    staticSummary: `${schedule.name}: ${schedule.definition}`.slice(0, 200),
  },
  policies: { overlap: ScheduleOverlapPolicy.ALLOW_ALL, catchupWindow: schedule.catchupMs, pauseOnFailure: false },
  state: { paused: schedule.paused, ...(schedule.note !== null && { note: schedule.note }) },
});

function specOf(spec: ScheduleSpec): TemporalSpec {
  return {
    calendars: spec.calendars.map(calendarOf),
    intervals: spec.intervals.map(({ everyMs, offsetMs }) => ({ every: everyMs, offset: offsetMs })),
    skip: spec.skip.map(calendarOf),
    timezone: spec.timeZone,
    jitter: spec.jitterMs,
    ...(spec.startAt !== undefined && { startAt: new Date(spec.startAt) }),
    ...(spec.endAt !== undefined && { endAt: new Date(spec.endAt) }),
  };
}

const MONTHS = [
  ...(['JANUARY', 'FEBRUARY', 'MARCH', 'APRIL', 'MAY', 'JUNE', 'JULY', 'AUGUST'] as const),
  ...(['SEPTEMBER', 'OCTOBER', 'NOVEMBER', 'DECEMBER'] as const),
];
const DAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const;

function calendarOf(calendar: Calendar): CalendarSpec {
  const numbers = (values: readonly number[] | null) => (values === null ? ('*' as const) : rangesOf(values));
  const { month, dayOfWeek } = calendar;
  return {
    second: numbers(calendar.second),
    minute: numbers(calendar.minute),
    hour: numbers(calendar.hour),
    dayOfMonth: numbers(calendar.dayOfMonth),
    month: month === null ? '*' : month.map((value) => MONTHS[value - 1] ?? 'JANUARY'),
    dayOfWeek: dayOfWeek === null ? '*' : dayOfWeek.map((value) => DAYS[value] ?? 'SUNDAY'),
    year: numbers(calendar.year),
    comment: cronText(calendar),
  };
}

function seenOf(found: ScheduleDescription): SeenSchedule {
  const { spec, action, policies, state } = found.raw.schedule ?? {};
  const limit = { limited: state?.limitedActions ?? false, remaining: state?.remainingActions?.toString() ?? '0' };
  const text = JSON.stringify({ spec, action, policies, limit }, inOrder);
  return {
    fingerprint: createHash('sha256').update(text).digest('hex').slice(0, 32),
    paused: found.state.paused,
    note: found.state.note ?? '',
  };
}

/** The server sends the fields of a map, such as the metadata of a sealed payload, in another order each time. */
function inOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
