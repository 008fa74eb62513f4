import type { Mode } from '../domain/plan/plan.ts';
import type { Stop } from '../domain/plan/state.ts';
import type { Json } from '../domain/json.ts';
import type { Database } from './database.ts';
import { notifyRuns } from './notifyRuns.ts';

/** What Temporal is told about a run. */
export type RunHeadRow = {
  runId: string;
  workspace: string;
  definition: string;
  title: string | null;
  parent: string | null;
  priority: number;
  total: number;
};

type Rows = Pick<Database, 'rows'>;

/** Of run_state s and run_head_v1 h. */
export const HEAD = `s.run as "runId", h.workspace, h.definition, h.title, h.parent, h.priority, s.total`;

/** How long a poke is given to take effect before the run is poked again. */
const POKE_AGAIN = `interval '2 s'`;
/** A run that has just begun, with all that its first segment needs. Inputs beyond 64 KB are null and read by themselves. */
export type BegunRow = RunHeadRow & {
  mode: Mode;
  epoch: number;
  /** Number of its last event. */
  cursor: number;
  intent: Stop | null;
  /** Until its deadline, ms. */
  due: number | null;
  planHash: string;
  input: Json;
  /** Bytes. */
  inputSize: number;
  startedAt: string;
};

/** Without its input. */
export const headOf = ({ runId, workspace, definition, title, parent, priority, total }: BegunRow): RunHeadRow => ({
  ...{ runId, workspace, definition, title, parent, priority, total },
});

/** A row of begin_runs_v1 and its like. */
export const BEGUN = `run as "runId", workspace, definition, title, parent, priority, total, mode, epoch, cursor::float8, intent, due, plan as "planHash",
  input, input_size as "inputSize", to_char(started at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "startedAt"`;

/**
 * Begins queued runs for this worker, in the order of admission. Serialised over all workers.
 * @param claim.claimMs until then nobody else repairs them
 * @param claim.except workspaces that are passed over
 */
export function admit(db: Rows, claim: { worker: string; n: number; claimMs: number; except?: readonly string[] }): Promise<BegunRow[]> {
  return db.rows<BegunRow>({
    name: 'admit',
    text: `select ${BEGUN} from admit_v3($1, $2, $3, $4)`,
    values: [claim.worker, claim.n, claim.claimMs, claim.except ?? []],
  });
}

/** Runs that a worker has begun or loaded and that do more than wait; counted as far as `upTo`. Goes through all it owns. */
export async function countBusy(db: Rows, of: { worker: string; upTo: number }): Promise<number> {
  const [row] = await db.rows<{ n: number }>({
    name: 'count_busy',
    text: `select count(*)::int as n from
      (select from run_state where owner = $1 and started is not null and finished is null and status not in ('waiting', 'paused') limit $2) used`,
    values: [of.worker, of.upTo],
  });
  return row?.n ?? 0;
}

/** Changes how long runs of this worker are left alone by those who repair: 0 = they may be repaired at once. */
export async function holdClaims(db: Rows, claim: { worker: string; runs: readonly string[]; ms: number }): Promise<void> {
  await db.rows({
    name: 'hold_claims',
    text: `update run_state set owner_until = clock_timestamp() + make_interval(secs => $3 / 1000.0)
      where run = any($2::uuid[]) and owner = $1 and finished is null`,
    values: [claim.worker, claim.runs, claim.ms],
  });
}

/** Those of the given runs that another worker carries by now. */
export async function carriedElsewhere(db: Rows, claim: { worker: string; runs: readonly string[] }): Promise<string[]> {
  const rows = await db.rows<{ run: string }>({
    name: 'carried_elsewhere',
    text: 'select run from run_state where run = any($2::uuid[]) and owner <> $1',
    values: [claim.worker, claim.runs],
  });
  return rows.map((row) => row.run);
}

/** Closes runs that were asked to end, or whose deadline passed, while they were queued. @returns them */
export async function endQueued(db: Rows, limit: number): Promise<string[]> {
  const rows = await db.rows<{ run: string }>({ name: 'end_queued', text: 'select run from end_queued_v1($1)', values: [limit] });
  const runs = rows.map((row) => row.run);
  await notifyRuns(db, runs);
  return runs;
}

/** Runs to be cancelled in Temporal, each reported once, and not before its poke was claimed; `forgetCancel` takes the mark back. */
export async function claimCancels(db: Rows): Promise<string[]> {
  const rows = await db.rows<{ run: string }>({
    name: 'claim_cancels',
    text: `update run_state set cancel_sent = true where run in (
        select run from run_state where intent is not null and finished is null and intent in ('cancel', 'force') and not cancel_sent and started is not null
          and (poked_seq = command_seq or command_seq <= applied_seq)
        order by run limit 100 for no key update) returning run`,
    values: [],
  });
  return rows.map((row) => row.run);
}

export async function forgetCancel(db: Rows, runId: string): Promise<void> {
  await db.rows({ name: 'forget_cancel', text: 'update run_state set cancel_sent = false where run = $1', values: [runId] });
}

/**
 * Runs that were asked to end and whose workflow has not read it: at once after the command, then again until it has.
 * @param maxPoked runs that were poked and have not read why. More are not told meanwhile: where thousands are cancelled at once,
 *   their workflow tasks would time out in each other's way, and be repeated for ever
 */
export function claimEnding(db: Rows, maxPoked: number): Promise<RunHeadRow[]> {
  return db.rows<RunHeadRow>({
    name: 'claim_ending',
    text: `with u as (select run, poked_seq < command_seq as fresh, poke_after from run_state where intent is not null and finished is null
          and started is not null and command_seq > applied_seq),
      s as (update run_state set poked_seq = command_seq, poke_after = clock_timestamp() + ${POKE_AGAIN} where run in (
        select run from run_state where run in (select run from u where fresh or poke_after < clock_timestamp() order by fresh desc, poke_after, run
          limit greatest(0, $1::int - (select count(*) from u where not fresh and poke_after >= clock_timestamp())))
          and command_seq > applied_seq and (poked_seq < command_seq or poke_after < clock_timestamp())
        order by run for no key update) returning run, total)
      select ${HEAD} from s cross join lateral run_head_v1(s.run) h`,
    values: [maxPoked],
  });
}

/**
 * Runs with a wait that is decided or 2 s overdue: their workflow should have noticed by itself. Found by these waits: from the open
 * runs it would be all waits for each of them.
 */
export function claimOverdue(db: Rows): Promise<RunHeadRow[]> {
  return db.rows<RunHeadRow>({
    name: 'claim_overdue',
    text: `with s as (update run_state set poke_after = clock_timestamp() + ${POKE_AGAIN} where run in (
        select run from run_state where run = any(array(select run from wait where not closed and until < statement_timestamp() - interval '2 s'
            union select run from wait where not closed and decision is not null))
          and finished is null and started is not null and (poke_after is null or poke_after < clock_timestamp())
        order by run limit 100 for no key update) returning run, total)
      select ${HEAD} from s cross join lateral run_head_v1(s.run) h`,
    values: [],
  });
}

/** undefined = no such run, or it is closed. */
export async function openRunHead(db: Rows, runId: string): Promise<RunHeadRow | undefined> {
  const rows = await db.rows<RunHeadRow>({
    name: 'open_run_head',
    text: `select ${HEAD} from run_state s cross join lateral run_head_v1(s.run) h where s.run = $1 and s.finished is null`,
    values: [runId],
  });
  return rows[0];
}

export type SliceRow = { runId: string; task: number; generation: number; k: number };

/** Slices of maps that nobody has started yet. Claimed by map; `forgetMap` takes the claim back. */
export function claimSlices(db: Rows): Promise<SliceRow[]> {
  return db.rows<SliceRow>({
    name: 'claim_slices',
    text: `with w as (update wait set dispatched = true where (run, task, item, generation, kind) in (
        select w.run, w.task, w.item, w.generation, w.kind from wait w join run_state s on s.run = w.run and s.finished is null and stop_v1(s) is null
        where not w.closed and not w.task = any(coalesce(s.held, '{}')) and w.kind = 'map' and not w.dispatched and w.decision is null order by w.run limit 20 for update of w skip locked) returning run, task, generation)
      select s.run as "runId", s.task, s.generation, s.k from w join slice s using (run, task, generation) where not s.done order by s.run, s.task, s.k`,
    values: [],
  });
}

/** @returns whether the map was marked: it is open, undecided and was dispatched */
export async function forgetMap(db: Rows, map: { runId: string; task: number; generation: number }): Promise<boolean> {
  const rows = await db.rows({
    name: 'forget_map',
    text: `update wait set dispatched = false where run = $1 and task = $2 and generation = $3 and kind = 'map' and dispatched and not closed
      and decision is null returning run`,
    values: [map.runId, map.task, map.generation],
  });
  return rows.length > 0;
}

/** Of those of the given runs that were asked something: why nothing new may begin, and the tasks that nobody may begin. */
export function haltsOf(db: Rows, runs: readonly string[]): Promise<{ run: string; stop: Stop | null; held: number[] }[]> {
  return db.rows<{ run: string; stop: Stop | null; held: number[] }>({
    name: 'halts_of',
    text: `select run, stop_v1(s) as stop, coalesce(held, '{}') as held from run_state s
      where run = any($1::uuid[]) and (intent is not null or paused or held is not null)`,
    values: [runs],
  });
}
