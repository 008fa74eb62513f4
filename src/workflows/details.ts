import { PENDING, statusOf, WAITING } from '../domain/plan/outcome.ts';
import { countedTasks } from '../domain/plan/phases.ts';
import type { GraphState } from '../domain/plan/state.ts';

const MAX_NAMES = 20;

/** What an operator sees of a run in the Temporal UI, as Markdown: how many tasks stand where, and which ones matter. */
export function describeState(state: GraphState): string {
  const groups = new Map<string, string[]>();
  state.outcome.forEach((outcome, task) => {
    if (task >= countedTasks(state.graph) && !state.begun.has(task)) return;
    const status = outcome === PENDING && state.busy.has(task) ? 'running' : statusOf(outcome);
    const names = groups.get(status) ?? [];
    names.push(state.graph.names[task] ?? '');
    groups.set(status, names);
  });
  const named = new Set(['running', 'waiting', 'failed', 'timed_out']);
  return [...groups]
    .map(
      ([status, names]) =>
        `**${status}**: ${names.length}${named.has(status) ? ` (${names.slice(0, MAX_NAMES).join(', ')}${names.length > MAX_NAMES ? ', …' : ''})` : ''}`,
    )
    .join('\n\n');
}

/** Names a timer after the tasks that wait; without one, it is a deadline. */
export function describeWaits(state: GraphState): string {
  const names = state.graph.names.filter((_, task) => state.outcome[task] === WAITING);
  return names.length === 0 ? 'deadline' : `wait: ${names.slice(0, MAX_NAMES).join(', ')}`;
}
