import type { Json } from '../domain/json.ts';
import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

export type ApprovalRow = {
  run: string;
  task: number;
  /** hex */
  plan: string;
  definition: string;
  data: Json;
  since: string;
  until: string | null;
  /** How many of its reminders have come. */
  reminded: number;
  remind_at: string | null;
};

const PENDING = `from wait w join run_state s on s.run = w.run and s.finished is null join run r on r.id = w.run
  where w.workspace = $1 and w.kind = 'approval' and not w.closed and w.decision is null`;

export type ApprovalCursor = { since: string; run: string; task: number };

/** Approvals of a workspace that wait, the oldest first. */
export function listApprovals(
  db: Rows,
  page: { workspace: string; after: ApprovalCursor | undefined; limit: number },
): Promise<ApprovalRow[]> {
  const { after } = page;
  return db.rows<ApprovalRow>({
    name: 'approvals',
    text: `select w.run, w.task, encode(r.plan, 'hex') as plan, r.definition, w.data, w.since, w.until, w.reminded, w.remind_at ${PENDING}
      and ($2::timestamptz is null or (w.since, w.run, w.task) > ($2, $3::uuid, $4::int)) order by w.since, w.run, w.task limit $5`,
    values: [page.workspace, after?.since ?? null, after?.run ?? null, after?.task ?? null, page.limit],
  });
}

/** An approval that waits, and for how long it has; undefined: there is none (any more). */
export async function findApproval(
  db: Rows,
  of: { workspace: string; run: string; task: number },
): Promise<{ data: Json; openMs: number } | undefined> {
  const [row] = await db.rows<{ data: Json; openMs: number }>({
    name: 'approval',
    text: `select w.data, (extract(epoch from clock_timestamp() - w.since) * 1000)::float8 as "openMs" ${PENDING} and w.run = $2 and w.task = $3
      order by w.generation desc limit 1`,
    values: [of.workspace, of.run, of.task],
  });
  return row;
}
