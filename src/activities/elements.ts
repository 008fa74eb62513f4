import { LRUCache } from 'lru-cache';
import type { Bindings } from '../domain/expression/expression.ts';
import type { Json } from '../domain/json.ts';
import type { ActivityDeps } from './deps.ts';
import { bindingsOf, itemsOf } from './evaluate.ts';
import { createOutputs } from './outputs.ts';
import type { CompiledTask, RunContext } from './plans.ts';

/** What the items of a mapped task are made from: its bindings, and its elements in their order. */
type Elements = { bindings: Bindings; values: readonly Json[] };

/** @throws Problem invalid_task_input if they are no list */
export type ElementsOf = (context: RunContext, which: { task: CompiledTask; generation: number }) => Promise<Elements>;

/** Maps at work at once. A list may have 100,000 elements and take 10 MB. */
const KEPT = 4;
const KEPT_MS = 30_000;

/** Evaluates the list of a map once for all its slices and items in this process, which come a hundred at a time. */
export function createElements(deps: Pick<ActivityDeps, 'db' | 'objects'>): ElementsOf {
  const kept = new LRUCache<string, Promise<Elements>>({ max: KEPT, ttl: KEPT_MS });
  return (context, { task, generation }) => {
    const key = `${context.facts.run} ${task.index} ${generation}`;
    const known = kept.get(key);
    if (known) return known;
    const made = evaluate(deps, context, task);
    kept.set(key, made);
    made.catch(() => kept.delete(key));
    return made;
  };
}

async function evaluate(deps: Pick<ActivityDeps, 'db' | 'objects'>, context: RunContext, task: CompiledTask): Promise<Elements> {
  const bindings = await bindingsOf(context, task, createOutputs(deps, context));
  return { bindings, values: itemsOf(task, bindings) };
}
