/** Fields of a wall clock and what they may hold; 0 is Sunday. */
export const CALENDAR_FIELDS = {
  second: [0, 59],
  minute: [0, 59],
  hour: [0, 23],
  dayOfMonth: [1, 31],
  month: [1, 12],
  dayOfWeek: [0, 6],
  year: [2000, 2100],
} as const;
export type CalendarField = keyof typeof CALENDAR_FIELDS;

/** Wall-clock times: each field holds the values that match, ascending; null = every value. All fields must match. */
export type Calendar = { [field in CalendarField]: readonly number[] | null };

/** Every `everyMs` since 1970-01-01T00:00:00Z, shifted by `offsetMs`. Whole seconds. */
export type Interval = { everyMs: number; offsetMs: number };

/** When a schedule fires: the union of calendars and intervals, without what `skip` matches. */
export type ScheduleSpec = {
  calendars: readonly Calendar[];
  intervals: readonly Interval[];
  skip: readonly Calendar[];
  /** IANA name. */
  timeZone: string;
  /** ms since the epoch, both inclusive. */
  startAt?: number;
  endAt?: number;
  /** A fire may come this much later than its time, ms. */
  jitterMs: number;
};

/** What happens to a fire while a run of the same schedule is open; Temporal's words. */
export const OVERLAP_POLICIES = ['skip', 'bufferOne', 'bufferAll', 'cancelOther', 'terminateOther', 'allowAll'] as const;
export type OverlapPolicy = (typeof OVERLAP_POLICIES)[number];

export const SCHEDULE_LIMITS = {
  perWorkspace: 1_000,
  /** Of intervals, and the grain of everything else, ms. */
  minIntervalMs: 1_000,
  /** Cron lines, intervals and calendars of one schedule, each. */
  timings: 20,
  /** Times of one backfill. */
  backfill: 1_000,
  /** Fires of one schedule that wait for its open run. */
  buffer: 1_000,
  /** Schedules that one definition may have. */
  triggers: 20,
  /** The catch-up window, ms. */
  minCatchupMs: 10_000,
  defaultCatchupMs: 365 * 86_400_000,
  /** Fire times shown in advance. */
  preview: 100,
  inputBytes: 65_536,
} as const;
