import { readOutputs } from '../db/execution.ts';
import type { JournalRecord } from '../db/journal/record.ts';
import { statusOf } from '../domain/plan/outcome.ts';
import { decide, failures, type GraphState, type Stop } from '../domain/plan/state.ts';
import { aroundOf } from '../domain/plan/scope.ts';
import { Problem, type Failure } from '../domain/problem.ts';
import { isInfrastructure } from './attempt.ts';
import type { ActivityDeps } from './deps.ts';
import { storeOutput, type Outputs } from './outputs.ts';
import type { RunContext } from './plans.ts';

export type Closing = Omit<Extract<JournalRecord, { type: 'close' }>, 'segment' | 'run' | 'epoch'>;

/** The proposal to end a run whose tasks have all settled: its status, its output or why it failed. */
export async function closingRecord(
  deps: Pick<ActivityDeps, 'db' | 'objects' | 'maxOutput'>,
  view: { context: RunContext; state: GraphState; outputs: Outputs },
  intent: Stop | null,
): Promise<Closing> {
  const status = decide(view.state, intent);
  if (status === 'failed') return { type: 'close', status, failure: JSON.stringify(await failureOf(deps, view)) };
  if (status !== 'completed') return { type: 'close', status };
  try {
    return { type: 'close', status, ...(await outputOf(deps, view)) };
  } catch (error) {
    if (!(error instanceof Problem) || isInfrastructure(error)) throw error;
    return { type: 'close', status: 'failed', failure: JSON.stringify({ ...error.toFailure(), data: { pointer: '/output/value' } }) };
  }
}

async function outputOf(deps: Pick<ActivityDeps, 'objects' | 'maxOutput'>, view: { context: RunContext; outputs: Outputs }) {
  const { facts, compiled } = view.context;
  const template = compiled.output();
  if (!template || !compiled.plan.output) return {};
  const { input, names, tasks } = aroundOf(compiled.plan, facts.input);
  const bindings = {
    ...names,
    input,
    run: { id: facts.run, status: 'completed', startedAt: facts.startedAt },
    tasks: { ...tasks, ...(await view.outputs.bindings({ ...template, reads: compiled.plan.output.reads })) },
  };
  return storeOutput(deps, facts.workspace, template.compiled.evaluate(bindings));
}

/** Names the first task that made the run fail, and its code. */
async function failureOf(
  deps: Pick<ActivityDeps, 'db'>,
  view: { context: RunContext; state: GraphState; outputs: Outputs },
): Promise<Failure> {
  const { state, context } = view;
  const [task] = failures(state);
  if (task === undefined) return { code: 'state_conflict', message: 'the run failed' };
  const name = state.graph.names[task] ?? '';
  const status = statusOf(state.outcome[task] ?? 0);
  const bound = await view.outputs.bindings({ reads: [task], computed: [], passed: [] });
  const error = (bound[name] as { error?: { code?: string; message?: string } | null } | undefined)?.error;
  if (error?.code) return { code: error.code, message: `task ${name} ${status}: ${error.message ?? ''}`, data: { task: name } };
  const [row] = await readOutputs(deps.db, { run: context.facts.run, tasks: [task], items: false });
  return {
    code: row?.failure?.code ?? 'internal',
    message: `task ${name} ${status}: ${row?.failure?.message ?? ''}`,
    data: { task: name },
  };
}
