import { BLOCKED, COMPLETED, isFinalStatus, SKIPPED, statusOf } from '../../src/domain/plan/outcome.ts';
import { next } from '../../src/domain/plan/next.ts';
import type { Plan } from '../../src/domain/plan/plan.ts';
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

/** A log as an engine writes one: tasks of a random graph side by side, some of them mapped; one in five is cancelled in its middle. */
export function aRandomLog(random: () => number): RandomLog {
  const { graph, behaviour } = aRandomGraph(random);
  const tasks = graph.names.map((id, i) => ({ id, kind: graph.kinds[i] ?? '', with: {}, reads: [], ...(random() < 0.3 && { map }) }));
  const state = createState(graph);
  const sketches: Sketch[] = [{ type: 'run.accepted' }, { type: 'run.started' }];
  const atWork = new Map<number, Sketch[]>();
  const end = random() < 0.2 ? 2 + Math.floor(random() * 20) : Infinity;
  let seq = 0;
  while (state.open > 0 && sketches.length < end) {
    const { effects, roots } = next(state, null, 3);
    for (const task of [...effects, ...roots])
      atWork.set(task, verdict(state, task) === RUN ? chapters(random, graph.names[task] ?? '', tasks[task]?.map !== undefined) : []);
    const [task, story] = [...atWork][Math.floor(random() * atWork.size)] ?? [0, []];
    const event = story.shift();
    if (event) {
      sketches.push(event);
      continue;
    }
    atWork.delete(task);
    const decided = verdict(state, task);
    const outcome = decided === RUN ? (behaviour[task]?.ends ?? COMPLETED) : decided === BLOCKED ? BLOCKED : SKIPPED;
    state.busy.delete(task);
    record(state, { task, outcome, seq: ++seq, branch: outcome === COMPLETED ? (behaviour[task]?.take ?? 0) : 0 });
    sketches.push({ type: `task.${statusOf(outcome)}` as RunEvent['type'], task: graph.names[task] ?? '' });
  }
  if (state.open > 0) sketches.push(...cancelled(state));
  else sketches.push({ type: decide(state, null) === 'completed' ? 'run.completed' : 'run.failed' });
  const events = sketches.map((sketch, i): RunEvent => ({
    seq: i + 1,
    runId: RUN_ID,
    at: new Date(Date.UTC(2026, 0, 1) + i * 1_000).toISOString(),
    ...sketch,
  }));
  return { plan: { graph, tasks }, events };
}
