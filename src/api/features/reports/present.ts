import type { PastRunRow, TaskReport, WorkflowReport } from '../../../db/repositories/reports.ts';
import { csv } from '../../csv.ts';
import { iso, maybeIso } from '../../time.ts';

type Durations = WorkflowReport['duration'];

const whole = (ms: number | null): number | null => (ms === null ? null : Math.round(ms));
const durations = ({ p50, p95, mean }: Durations) => ({ p50: whole(p50), p95: whole(p95), mean: whole(mean) });
/** To four digits; null of nothing. */
const rate = (good: number, all: number): number | null => (all === 0 ? null : Math.round((good / all) * 10_000) / 10_000);

type Outcomes = Omit<WorkflowReport, 'definition' | 'duration' | 'queued' | 'failures'>;

export function presentOutcomes(row: Outcomes) {
  const { runs, completed, failed, cancelled, timed_out: timedOut } = row;
  const closed = completed + failed + cancelled + timedOut;
  return {
    ...{ runs, open: runs - closed, completed, failed, cancelled, timedOut },
    successRate: rate(completed, closed),
    recentSuccessRate: rate(row.recent_completed, row.recent),
  };
}

export const presentWorkflow = (row: WorkflowReport) => ({
  workflow: row.definition,
  ...presentOutcomes(row),
  duration: durations(row.duration),
  queued: durations(row.queued),
  failures: row.failures,
});

export function presentTask(row: TaskReport) {
  const { kind, runs, completed, failed, timed_out: timedOut, cancelled, skipped, blocked, retries, failures } = row;
  return {
    ...{ workflow: row.definition ?? null, task: row.task ?? null, kind, runs, completed, failed, timedOut, cancelled, skipped, blocked },
    successRate: rate(completed, completed + failed + timedOut),
    retries,
    duration: durations(row.duration),
    slowestRun: row.slowest_run,
    failures,
  };
}

const between = (from: string | null, to: string | null): number | null =>
  from === null || to === null ? null : Math.max(0, Date.parse(iso(to)) - Date.parse(iso(from)));

function presentPast(row: PastRunRow) {
  const due = row.not_before !== null && iso(row.not_before) > iso(row.created) ? row.not_before : row.created;
  return {
    ...{ runId: row.id, workflow: row.definition, status: row.status },
    createdAt: iso(row.created),
    startedAt: maybeIso(row.started),
    finishedAt: iso(row.finished),
    queuedMs: between(due, row.started),
    durationMs: between(row.started, row.finished),
    code: row.code,
  };
}

export function presentHistory(rows: readonly PastRunRow[]) {
  const items = rows.map(presentPast);
  return { successRate: rate(items.filter(({ status }) => status === 'completed').length, items.length), items };
}

type Value = string | number | null | Durations | readonly { code: string; n: number }[];

/** Items of a report as CSV: durations in three columns, failures as `code:n` by spaces. @param columns fields in their order */
export function asCsv<T extends { [K in keyof T]: Value }>(columns: readonly (keyof T & string)[], items: readonly T[]): string {
  const isDurations = (column: string) => column === 'duration' || column === 'queued';
  const names = columns.flatMap((column) => (isDurations(column) ? ['P50', 'P95', 'Mean'].map((part) => `${column}${part}Ms`) : [column]));
  return csv(
    names,
    items.map((item) => columns.flatMap((column) => cells(item[column]))),
  );
}

function cells(value: Value): (string | number | null)[] {
  if (value === null || typeof value !== 'object') return [value];
  if ('p50' in value) return [value.p50, value.p95, value.mean];
  return [value.map(({ code, n }) => `${code}:${n}`).join(' ')];
}
