import { auditValues } from '../audit.ts';
import { auditOf } from '../auditOf.ts';
import type { Rows } from '../transaction.ts';

/** Of the workspaces `w` that have changed. */
const audited = auditOf({ from: 'w', workspace: 'w.id', object: `'workspace:' || w.id` });

/** A workspace that is closing, at which time that was asked for, until when it can be taken back, and the run that does it, if there is one. */
export type ClosingWorkspace = { id: string; closing: string | Date; until: string | Date; before: string | null };

const COLUMNS = 'w.id, w.closing, w.closing_until as until, w.closing_run as before';

/** Begins to close it; one that is closing goes on as it was. @returns undefined = there is no such workspace */
export async function closeWorkspace(
  db: Rows,
  of: { workspace: string; by: string; graceMs: number },
): Promise<ClosingWorkspace | undefined> {
  await db.rows({
    name: 'workspace_close',
    text: `with w as (update workspace set closing = clock_timestamp(), closing_until = clock_timestamp() + $3 * interval '1 ms', transfer_to = null, transfer_by = null,
          transfer_until = null, version = version + 1 where id = $1 and closing is null returning *),
      a as (${audited('workspace.closing', { by: 2, first: 4, after: `json_build_object('until', w.closing_until)` })})
      select 1 from w`,
    values: [of.workspace, of.by, of.graceMs, ...auditValues()],
  });
  const text = `select ${COLUMNS} from workspace w where w.id = $1 and w.closing is not null`;
  return (await db.rows<ClosingWorkspace>({ name: 'workspace_closing_find', text, values: [of.workspace] }))[0];
}

/** Takes it back, unless what is in it is being deleted already. @returns the run that was to do it; undefined = it is not closing */
export async function reopenWorkspace(db: Rows, of: { workspace: string; by: string }): Promise<{ run: string | null } | undefined> {
  const rows = await db.rows<{ run: string | null }>({
    name: 'workspace_reopen',
    text: `with o as (select id, closing_run from workspace where id = $1 and closing is not null and closing_begun is null for no key update),
      w as (update workspace set closing = null, closing_until = null, closing_run = null, closing_submitted = null, version = version + 1 from o
        where workspace.id = o.id returning workspace.*, o.closing_run as run),
      a as (${audited('workspace.reopened', { by: 2, first: 3 })})
      select run from w`,
    values: [of.workspace, of.by, ...auditValues()],
  });
  return rows[0];
}

/** Notes which run does it, unless it was taken back meanwhile. */
export async function noteClosingRun(db: Rows, of: { workspace: string; closing: string; run: string }): Promise<void> {
  await db.rows({
    name: 'workspace_closing_run',
    text: 'update workspace set closing_run = $3, closing_submitted = clock_timestamp() where id = $1 and closing = $2',
    values: [of.workspace, of.closing, of.run],
  });
}

/** Those that no run closes, or whose run ended an hour ago. @param graceMs of those of whom nobody has said until when */
export async function waitingClosings(db: Rows, graceMs: number): Promise<ClosingWorkspace[]> {
  await db.rows({
    name: 'workspace_closing_until',
    text: `update workspace set closing_until = closing + $1 * interval '1 ms' where closing is not null and closing_until is null`,
    values: [graceMs],
  });
  return db.rows<ClosingWorkspace>({
    name: 'workspace_closing_waiting',
    text: `select ${COLUMNS} from workspace w left join run_state s on s.run = w.closing_run where w.closing is not null
        and (w.closing_run is null or (w.closing_submitted < clock_timestamp() - interval '1 hour' and (s.run is null or s.finished is not null)))
      order by w.closing limit 100`,
    values: [],
  });
}
