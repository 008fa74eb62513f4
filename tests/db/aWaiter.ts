import { randomUUID } from 'node:crypto';
import { next } from '../../src/domain/plan/next.ts';
import { createState, recordRows, type GraphState, type Stop } from '../../src/domain/plan/state.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { aPlan, type Engine } from '../support/anEngine.ts';

export const hour: JsonObject = { type: 'wait', with: { for: 'PT1H' } };
export const definitionOf = (tasks: JsonObject, more: JsonObject = {}): JsonObject => ({ dsl: 'tiu/1', name: 'waiter', tasks, ...more });

/** A run as its execution leaves it when nothing but waits is pending; `state`: what that knows of it. */
export type Waiter = { run: string; epoch: number; state: GraphState; cursor: number };

export async function aWaiter(engine: Engine, definition: JsonObject): Promise<Waiter> {
  const { activities, inActivity } = engine;
  const run = await engine.submit(aPlan(definition));
  const loaded = await inActivity(activities.loadRun, run);
  if ('ended' in loaded) throw new Error('it has ended');
  const state = createState(loaded.graph);
  recordRows(state, loaded.rows);
  await inActivity(activities.markWaiting, run, loaded.epoch);
  return { run, epoch: loaded.epoch, state, cursor: loaded.cursor };
}

/** A cancel as it was before runs ended with it: a command that the execution reads. */
export async function ask(engine: Engine, run: string, force = false): Promise<void> {
  await engine.db.pool.query(`select command_v1($1, $2, 'cancel', $3, $4, null, 'key:1', $5, $6)`, [
    ...[run, engine.workspace, JSON.stringify({ force }), JSON.stringify({ by: 'key:1' }), randomUUID(), force],
  ]);
}

/** The end of a run by its execution, as the workflow takes it there once it was told of a cancel. @returns how it ended */
export async function endByExecution(engine: Engine, { run, epoch, state, cursor }: Waiter): Promise<string> {
  const { activities, inActivity } = engine;
  for (let round = 0; round < 10; round++) {
    const changes = await inActivity(activities.readChanges, { runId: run, epoch, since: cursor });
    if ('stale' in changes) return 'stale';
    const stop: Stop | null = changes.intent;
    recordRows(state, changes.rows);
    for (let { sweep } = next(state, stop, 0); sweep && state.open > 0; { sweep } = next(state, stop, 0)) {
      const swept = await inActivity(activities.sweep, { runId: run, epoch, ...sweep });
      if ('stale' in swept) return 'stale';
      recordRows(state, swept.rows);
    }
    if (state.open > 0) throw new Error(`${state.open} tasks are open`);
    const ended = await inActivity(activities.finishRun, { runId: run, epoch });
    if ('ended' in ended) return ended.ended.status;
    if ('phase' in ended) return `phase ${ended.phase}`;
  }
  throw new Error('it does not end');
}
