import {
  BLOCKED,
  CANCELLED,
  COMPLETED,
  isFinal,
  isFinalStatus,
  PENDING,
  SKIPPED,
  statusOf,
  type Outcome,
} from '../../src/domain/plan/outcome.ts';
import { next } from '../../src/domain/plan/next.ts';
import type { Plan, PlanTask } from '../../src/domain/plan/plan.ts';
import { resetOf } from '../../src/domain/plan/reset.ts';
import { createState, decide, record, RUN, verdict, type GraphState } from '../../src/domain/plan/state.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { aRandomGraph } from './aGraph.ts';

type Sketch = Pick<RunEvent, 'type'> & Partial<RunEvent>;
export type RandomLog = { plan: Pick<Plan, 'graph' | 'tasks'>; events: RunEvent[] };

const RUN_ID = '01890000-0000-7000-8000-000000000000';
const map = { items: [], as: 'item', maxConcurrency: 5 };

/** What happens to one task from its beginning up to its last event, in order: lost and repeated attempts, waits, items. */
function chapters(random: () => number, task: string, mapped: boolean): Sketch[] {
  const count = mapped ? Math.floor(random() * 6) : 0;
  const data = mapped ? { data: { items: count } } : {};
  const begins: Sketch = { type: random() < 0.3 ? 'task.waiting' : 'task.started', task, ...data };
  const items = Array.from({ length: count }, (_, item) => item).sort(() => random() - 0.5);
  const story = items.flatMap((item): Sketch[] => [
    ...(random() < 0.5 ? [{ type: 'task.started' as const, task, item }] : []),
    ...(random() < 0.2 ? [{ type: 'task.retrying' as const, task, item }] : []),
    { type: random() < 0.7 ? 'task.completed' : random() < 0.5 ? 'task.failed' : 'task.skipped', task, item },
  ]);
  if (random() < 0.2) story.splice(Math.floor(random() * story.length), 0, begins); // another worker goes on with it
  if (!mapped && random() < 0.3) story.push({ type: 'task.retrying', task, data: { code: 'http_failed', message: '' } }, begins);
  return [begins, ...story];
}

/** Ends what is open as a cancel does. */
const cancelled = (state: GraphState): Sketch[] => [
  { type: 'command.cancel', data: { reason: 'enough', by: 'key:1' } },
  ...state.graph.names.flatMap((task, i): Sketch[] =>
    isFinalStatus(statusOf(state.outcome[i] ?? 0)) ? [] : [{ type: 'task.cancelled', task }],
  ),
  { type: 'run.cancelled' },
];

/** What a run is made of while its log is written. */
type Story = { state: GraphState; tasks: Pick<PlanTask, 'map'>[]; ends: (task: number) => Settled; sketches: Sketch[]; seq: number };
type Settled = { outcome: Outcome; take: number };

/** Tasks side by side until none is left, or until the log has so many events; then all that is left is cancelled. */
function play(random: () => number, story: Story, end: number): void {
  const { state, tasks, sketches } = story;
  const { graph } = state;
  const atWork = new Map<number, Sketch[]>();
  while (state.open > 0 && sketches.length < end) {
    const { effects, roots } = next(state, null, 3);
    for (const task of [...effects, ...roots])
      atWork.set(task, verdict(state, task) === RUN ? chapters(random, graph.names[task] ?? '', tasks[task]?.map !== undefined) : []);
    const [task, chapter] = [...atWork][Math.floor(random() * atWork.size)] ?? [0, []];
    const event = chapter.shift();
    if (event) {
      sketches.push(event);
      continue;
    }
    atWork.delete(task);
    const decided = verdict(state, task);
    const { outcome, take } = decided === RUN ? story.ends(task) : { outcome: decided === BLOCKED ? BLOCKED : SKIPPED, take: 0 };
    state.busy.delete(task);
    record(state, { task, outcome, seq: ++story.seq, generation: state.generation[task] ?? 0, branch: outcome === COMPLETED ? take : 0 });
    sketches.push({ type: `task.${statusOf(outcome)}` as RunEvent['type'], task: graph.names[task] ?? '' });
  }
  if (state.open === 0) {
    sketches.push({ type: decide(state, null) === 'completed' ? 'run.completed' : 'run.failed' });
    return;
  }
  sketches.push(...cancelled(state));
  state.busy.clear();
  state.outcome.forEach((outcome, task) => {
    if (!isFinal(outcome)) record(state, { task, outcome: CANCELLED, seq: ++story.seq, generation: state.generation[task] ?? 0 });
  });
}

/** Opens the run again, if there is something to be tried again. @returns whether there is */
function reopen(story: Story): boolean {
  const { state, sketches } = story;
  const { tasks } = resetOf(state);
  if (tasks.length === 0) return false;
  sketches.push({ type: 'command.retry' }, { type: 'run.reopened' });
  for (const task of tasks) {
    const generation = (state.generation[task] ?? 0) + 1;
    record(state, { task, outcome: PENDING, seq: ++story.seq, generation });
    sketches.push({ type: 'task.pending', task: state.graph.names[task] ?? '', data: { generation, keptItems: false } });
  }
  sketches.push({ type: 'run.started' });
  return true;
}

/**
 * A log as an engine writes one: tasks of a random graph side by side, some of them mapped; one in five is cancelled in its
 * middle, and half of those that do not complete are tried again.
 */
export function aRandomLog(random: () => number): RandomLog {
  const { graph, behaviour } = aRandomGraph(random);
  const tasks = graph.names.map((id, i) => ({ id, kind: graph.kinds[i] ?? '', with: {}, reads: [], ...(random() < 0.3 && { map }) }));
  const ends = (task: number): Settled => ({ outcome: behaviour[task]?.ends ?? COMPLETED, take: behaviour[task]?.take ?? 0 });
  const story: Story = { state: createState(graph), tasks, ends, sketches: [{ type: 'run.accepted' }, { type: 'run.started' }], seq: 0 };
  play(random, story, random() < 0.2 ? 2 + Math.floor(random() * 20) : Infinity);
  if (story.sketches.at(-1)?.type !== 'run.completed' && random() < 0.5 && reopen(story)) {
    const better = { ...story, ends: (task: number): Settled => ({ outcome: random() < 0.7 ? COMPLETED : ends(task).outcome, take: 0 }) };
    play(random, better, Infinity);
  }
  const events = story.sketches.map((sketch, i): RunEvent => ({
    seq: i + 1,
    runId: RUN_ID,
    at: new Date(Date.UTC(2026, 0, 1) + i * 1_000).toISOString(),
    ...sketch,
  }));
  return { plan: { graph, tasks }, events };
}
