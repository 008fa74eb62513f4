import type { Statement } from '../../../src/db/database.ts';
import * as closings from './closings.ts';
import * as control from './control.ts';
import * as dispatch from './dispatch.ts';
import * as events from './events.ts';
import * as execution from './execution.ts';
import { fork } from './forks.ts';
import { journalCommit } from './journalCommit.ts';
import { submit } from './submit.ts';
import * as workers from './workers.ts';
import { newest, stopOf, taskKey, toRow, type Tables, type TaskRow } from './tables.ts';

type Values = readonly unknown[];
type Work = (tables: Tables, values: Values) => object[];

const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

const outputRow = (row: TaskRow): object => ({
  ...{ task: row.task, item: row.item, status: row.status, output: parsed(row.output), ref: null },
  ...{ size: row.output?.length ?? null, failure: parsed(row.failure) },
});

function outputs(tables: Tables, [run, tasks]: readonly [string, number[]], items: boolean): object[] {
  const rows = tables.runs.get(run);
  if (!rows) return [];
  const generations = new Map(newest(rows, tasks).map((row) => [row.task, row.generation]));
  return [...rows.tasks.values()]
    .filter((row) => tasks.includes(row.task) && row.item >= 0 === items && row.generation === (generations.get(row.task) ?? 0))
    .sort((a, b) => a.task - b.task || a.item - b.item)
    .map(outputRow);
}

function facts(tables: Tables, [run]: readonly [string]): object[] {
  const rows = tables.runs.get(run);
  if (!rows) return [];
  const { input, plan, state } = rows;
  const startedAt = new Date(state.started ?? rows.created).toISOString();
  return [{ run, workspace: state.workspace, planHash: plan, input: parsed(input), inputSize: input?.length ?? 0, startedAt }];
}

function mapItems(tables: Tables, [run, task, generation, lo, hi]: readonly [string, number, number, number, number]): object[] {
  const rows = [...(tables.runs.get(run)?.tasks.values() ?? [])];
  return rows
    .filter((row) => row.task === task && row.generation === generation && row.item >= lo && row.item <= hi)
    .map(({ item, status, attempt }) => ({ item, status, attempt }));
}

function holds(tables: Tables, [run, task, item, generation, token]: readonly [string, number, number, number, string]): object[] {
  const rows = tables.runs.get(run);
  if (rows?.state.finished !== null) return [];
  return [{ held: rows.tasks.get(taskKey(task, item, generation))?.token === token, intent: stopOf(rows.state) }];
}

function standing(tables: Tables, [run]: readonly [string]): object[] {
  const state = tables.runs.get(run)?.state;
  if (!state) return [];
  const { epoch, lastSeq, intent, reason, failure, phase, decided } = state;
  const status = state.finished === null ? 'open' : state.status;
  return [{ status, epoch, lastSeq, intent, reason, failure: parsed(failure), phase, decided }];
}

function claims(tables: Tables, values: Values): object[] {
  const [run, epochs, tasks, items, generations, tokens, deadlines] = values as [
    string,
    number[],
    number[],
    number[],
    number[],
    string[],
    (number | null)[],
  ];
  return epochs.map((epoch, i) => ({
    i: String(i + 1),
    claim: execution.claim(tables, [run, epoch, tasks[i] ?? 0, items[i] ?? -1, generations[i] ?? 0, tokens[i] ?? '', deadlines[i] ?? null]),
  }));
}

const one = (name: string, ask: (tables: Tables, values: never) => unknown): [string, Work] => [
  name,
  (tables, values) => [{ answer: ask(tables, values as never) }],
];
const many = (name: string, ask: (tables: Tables, values: never) => object[]): [string, Work] => [
  name,
  (tables, values) => ask(tables, values as never),
];
const nothing = (name: string): [string, Work] => [name, () => []];

/** The statements of src/db by name. */
const WORK = new Map<string, Work>([
  one('load_run_v2', execution.loadRun),
  one('load_owner_v1', execution.loadOwner),
  one('read_changes_v2', execution.readChanges),
  one('sweep_v1', execution.sweep),
  one('advance_run_v1', execution.advance),
  one('mark_waiting_v1', execution.markWaiting),
  one('load_slice_v1', execution.loadSlice),
  one('finish_slice_v1', execution.finishSlice),
  one('task_rows_v1', (tables, [run, tasks]: [string, number[] | null]) => newest(tables.runs.get(run) ?? NO_RUN, tasks).map(toRow)),
  many('claims', claims),
  many('submit_v3', (tables, values) => [...submit(tables, values), { i: null, at: new Date(0).toISOString() }]),
  many('cancel_v1', closings.cancel),
  one('read_closed_v1', closings.readClosed),
  many('claim_unshown', closings.claimUnshown),
  many('forget_unshown', closings.forgetUnshown),
  many('pause_v1', (tables, values) => [{ seq: control.pause(tables, values) }]),
  many('reopen_run_v1', (tables, values) => [{ seq: control.reopen(tables, values) }]),
  many('settle_task_v1', (tables, values) => [{ seq: control.settle(tables, values) }]),
  many('run_facts', facts),
  many('plan_body', (tables, [hash]: [string]) => [{ body: JSON.parse(tables.plans.get(hash) ?? 'null') as unknown }]),
  many('outputs', (tables, values: [string, number[]]) => outputs(tables, values, false)),
  many('outputs_items', (tables, values: [string, number[]]) => outputs(tables, values, true)),
  many('fork_run', fork),
  many('map_items', mapItems),
  many('event_schemas', () => []),
  many('has_event', events.has),
  many('store_event', events.store),
  many('give_event', events.give),
  many('left_events', events.left),
  many('holds_task', holds),
  many('run_standing', standing),
  many('admit', dispatch.admit),
  many('count_busy', dispatch.countBusy),
  many('hold_claims', dispatch.holdClaims),
  many('carried_elsewhere', dispatch.carriedElsewhere),
  many('claim_cancels', dispatch.claimCancels),
  many('forget_cancel', dispatch.forgetCancel),
  many('claim_ending', dispatch.claimEnding),
  many('claim_overdue', dispatch.claimOverdue),
  many('claim_slices', dispatch.claimSlices),
  many('forget_map', dispatch.forgetMap),
  many('halts_of', dispatch.haltsOf),
  many('claim_untold', dispatch.claimUntold),
  many('told', dispatch.told),
  many('open_runs', dispatch.openRuns),
  many('open_slices', dispatch.openSlices),
  many('claim_correction', dispatch.claimCorrection),
  many('close_waits_of_closed', dispatch.closeWaitsOfClosed),
  many('close_by_hand', (tables, values: [string, string]) => [{ seq: dispatch.closeByHand(tables, values) }]),
  many('open_run_head', (tables, [run]: [string]) => {
    const rows = tables.runs.get(run);
    return rows?.state.finished === null ? [dispatch.headOf(rows)] : [];
  }),
  many('report_worker', workers.report),
  many('gone_workers', workers.goneWorkers),
  many('reclaim_runs', workers.reclaimRuns),
  many('adopt_runs', workers.adoptRuns),
  many('ended_runs', workers.endedRuns),
  many('release_worker', workers.releaseWorker),
  many('forget_worker', workers.forgetWorker),
  many('hold_duty', dispatch.holdDuty),
  many('release_duty', dispatch.releaseDuty),
  ...[
    'make_partitions',
    'sweep_leases',
    'sweep_limits',
    'sweep_workers',
    'notify_run',
    'end_queued',
    'expire_events',
    'open_externals',
  ].map(nothing),
]);

const NO_RUN = { tasks: new Map() } as unknown as Parameters<typeof newest>[0];

/** Carries out one autocommitted statement. @param isLocked whether another writer holds a run at this instant */
export function execute(tables: Tables, { name, values }: Statement, isLocked: (run: string) => boolean): object[] {
  if (name === 'journal_commit_v1') return journalCommit(tables, values, isLocked);
  const work = WORK.get(name);
  if (!work) throw new Error(`the simulated database has no statement ${name}`);
  return work(tables, values);
}
