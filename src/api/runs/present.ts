import type { Plan } from '../../domain/plan/plan.ts';
import type { Marks } from '../../domain/redaction/marks.ts';
import { redact } from '../../domain/redaction/redact.ts';
import type { Json } from '../../domain/json.ts';
import type { TaskStatus } from '../../domain/plan/outcome.ts';
import { MAIN } from '../../domain/plan/phases.ts';
import type { RunEvent, RunEventType } from '../../domain/run/events.ts';
import { weightOf } from '../../domain/run/percent.ts';
import { namesOf } from '../../domain/run/oneTask.ts';
import { priorityName } from '../../domain/run/priority.ts';
import type { EventRow, RunRow, TaskRow } from '../../db/repositories/runs.ts';
import type { Config } from '../../runtime/config.ts';
import { iso, maybeIso } from '../time.ts';

const PHASES = ['running', 'compensating', 'finishing'] as const;

type Links = Pick<Config, 'TIU_TEMPORAL_UI' | 'TEMPORAL_NAMESPACE'>;

/** @param counts of its tasks by status, where they were counted */
export function presentRun(config: Links, run: RunRow, counts?: readonly { status: TaskStatus; n: number }[]) {
  const self = `/api/v1/runs/${run.id}`;
  const temporal = `${config.TIU_TEMPORAL_UI}/namespaces/${config.TEMPORAL_NAMESPACE}/workflows/${encodeURIComponent(`run/${run.id}`)}`;
  return {
    id: run.id,
    workflow: { name: run.definition, number: run.definition_number },
    status: run.status,
    intent: run.finished === null ? run.intent : null,
    phase: run.finished === null ? PHASES[run.phase ?? MAIN] : null,
    paused: run.finished === null && run.paused === true,
    priority: priorityName(run.priority),
    mode: run.mode,
    labels: run.labels ?? {},
    forkedFrom: run.forked_from ?? null,
    createdAt: iso(run.created),
    createdBy: run.created_by,
    startedAt: maybeIso(run.started),
    finishedAt: maybeIso(run.finished),
    notBefore: maybeIso(run.not_before),
    deadlineAt: maybeIso(run.deadline),
    lastSeq: run.last_seq,
    counts: {
      total: run.total,
      open: run.open,
      ...(counts ? Object.fromEntries(counts.map(({ status, n }) => [status, n])) : { failed: run.failed }),
    },
    reason: run.reason,
    projectId: run.project ?? null,
    parent: run.parent ?? null,
    failure: run.failure,
    links: { self, tasks: `${self}/tasks`, events: `${self}/events`, output: `${self}/output`, temporal },
  };
}

/** A run of one task, with what its input says of it. */
export const presentTaskRun = (run: PresentedRun, input: Json) => ({
  ...run,
  ...namesOf(input),
  links: { ...run.links, task: `/api/v1/tasks/${run.id}` },
});

export const etagOf = (run: Pick<RunRow, 'last_seq'>): string => `"${run.last_seq}"`;

export type PresentedRun = ReturnType<typeof presentRun> & {
  percent?: number;
  strategyUsed?: string;
  strategyReason?: string;
  output?: Json;
};

const presentState = (row: TaskRow | undefined) => ({
  status: row?.status ?? ('pending' satisfies TaskStatus),
  attempt: row?.attempt ?? 0,
  generation: row?.generation ?? 0,
  startedAt: maybeIso(row?.started ?? null),
  finishedAt: maybeIso(row?.finished ?? null),
  nextAttemptAt: maybeIso(row?.next_at ?? null),
  failure: row?.failure ?? null,
  outputSize: row?.output_size ?? null,
});

export function presentTask(
  plan: Plan,
  index: number,
  seen: { row: TaskRow | undefined; items: readonly { task: number; status: TaskStatus; n: number }[] },
) {
  const task = plan.tasks[index];
  return {
    id: plan.graph.names[index] ?? '',
    kind: task?.kind ?? '',
    title: task?.title ?? null,
    undoes: task?.undoes === undefined ? null : (plan.graph.names[task.undoes] ?? null),
    dependsOn: (plan.graph.deps[index] ?? []).map(([dependency]) => plan.graph.names[dependency] ?? ''),
    weight: weightOf(plan, index),
    ...presentState(seen.row),
    items: task?.map ? Object.fromEntries(seen.items.filter((count) => count.task === index).map(({ status, n }) => [status, n])) : null,
  };
}

/** An object is not named if something in it is marked: by its name it could be read. */
export const presentItem = (row: TaskRow & { output: string | null }, marks: Marks) => ({
  index: row.item,
  ...presentState(row),
  // Until it has completed, what stands there is the input of its run.
  output:
    row.status !== 'completed' || row.output === null || row.output_ref !== null ? null : redact(JSON.parse(row.output) as Json, marks),
  outputRef: row.status !== 'completed' || marks.any ? null : (row.output_ref?.toString('hex') ?? null),
});

/** @param names ids of the plan's tasks by index */
export function presentEvent(names: readonly string[], row: EventRow): RunEvent {
  return {
    seq: row.seq,
    type: row.type as RunEventType,
    at: iso(row.at),
    runId: row.run,
    ...(row.task !== null && { task: names[row.task] ?? String(row.task) }),
    ...(row.item !== null && row.item >= 0 && { item: row.item }),
    ...(row.attempt !== null && { attempt: row.attempt }),
    ...(row.data !== null && { data: row.data }),
  };
}
