import type { Marks } from '../../../domain/redaction/marks.ts';
import { redact } from '../../../domain/redaction/redact.ts';
import { isPriority } from '../../../domain/run/priority.ts';
import { SCHEDULE_LIMITS } from '../../../domain/schedule/schedule.ts';
import type { FireRow, ScheduleRow } from '../../../db/repositories/schedules.ts';
import { iso, maybeIso } from '../../time.ts';

export const etagOf = (schedule: Pick<ScheduleRow, 'revision'>): string => `"${schedule.revision}"`;

export function presentSchedule(row: ScheduleRow, marks: Marks) {
  const self = `/api/v1/schedules/${row.id}`;
  return {
    id: row.id,
    name: row.name,
    workflow: { name: row.definition, version: row.definition_version },
    ofDefinition: row.trigger !== null,
    spec: row.spec,
    overlap: row.overlap,
    catchupWindow: `PT${row.catchup_ms / 1_000}S`,
    remainingActions: row.remaining,
    input: redact(row.input, marks),
    priority: isPriority(row.priority) ? row.priority : null,
    labels: row.labels ?? {},
    project: row.project_name,
    paused: row.paused,
    note: row.note,
    nextFireAt: row.paused ? null : maybeIso(row.next_at),
    lastFireAt: maybeIso(row.last_at),
    counts: { fired: row.fired, skipped: row.skipped, missed: row.missed, failed: row.failed },
    synced: row.synced,
    createdAt: iso(row.created),
    createdBy: row.created_by,
    updatedAt: iso(row.updated),
    links: { self, fires: `${self}/fires`, next: `${self}/next` },
  };
}

/** What a PATCH is applied to. */
export const documentOf = (row: ScheduleRow) => ({
  workflow: { name: row.definition, ...(row.definition_version !== null && { version: row.definition_version }) },
  spec: row.spec,
  overlap: row.overlap,
  ...(row.catchup_ms !== SCHEDULE_LIMITS.defaultCatchupMs && { catchupWindow: `PT${row.catchup_ms / 1_000}S` }),
  ...(row.remaining !== null && { remainingActions: row.remaining }),
  ...(row.input !== null && { input: row.input }),
  ...(row.priority !== null && { priority: row.priority }),
  ...(row.labels !== null && { labels: row.labels }),
  ...(row.project_name !== null && { project: row.project_name }),
});

export const presentFire = (row: FireRow) => ({
  at: iso(row.nominal),
  kind: row.kind,
  status: row.status,
  runId: row.run,
  failure: row.failure,
  decidedAt: iso(row.at),
  by: row.by,
});
