import { ApplicationFailure } from '@temporalio/common';
import { isAtWork } from '../domain/plan/outcome.ts';
import { EFFECT, type Graph } from '../domain/plan/plan.ts';
import { createState, recordRows, RUN, verdict, type OutcomeRow } from '../domain/plan/state.ts';
import { namedRows } from './endRun.ts';
import type { RunContext } from './plans.ts';
import { runEffect, type EffectDeps, type EffectRequest } from './runTask.ts';
import type { Owned, OwnedOrStale, OwnRequest } from './segment.ts';

export type ChainDeps = EffectDeps & { own: (context: RunContext, request: OwnRequest) => Promise<OwnedOrStale> };

/** So long may an activity go on with what it released: a chain of short effects costs one activity, a long effect has its own. */
const CHAIN_MS = 500;
const INLINE_SLICE_MS = 10_000;

/**
 * One try of an effect, then the inline tasks that its end released, then the effect that all this released, if it is the
 * only one and nobody else waits for news of this activity.
 * @param first.beat tells Temporal that the activity lives, and at which task it is
 */
export async function runChain(
  deps: ChainDeps,
  context: RunContext,
  first: { request: EffectRequest; beat: (task: string) => void },
): Promise<OwnedOrStale> {
  const { names } = context.compiled.plan.graph;
  const until = performance.now() + CHAIN_MS;
  let answer = await runLink(deps, context, { ...first, task: names[first.request.task] ?? '' });
  for (let next = soleEffect(context, answer); next !== undefined && performance.now() < until; next = soleEffect(context, answer)) {
    const request = { ...first.request, task: next, generation: 0 };
    try {
      answer = joined(answer, await runLink(deps, context, { request, beat: first.beat, task: names[next] ?? '' }));
    } catch (error) {
      // To be tried later, or somebody else's by now: that is for an activity of its own.
      if (error instanceof ApplicationFailure) return answer;
      throw error;
    }
  }
  return answer;
}

type Link = { request: EffectRequest; beat: (task: string) => void; task: string };

async function runLink(deps: ChainDeps, context: RunContext, { request, beat, task }: Link): Promise<OwnedOrStale> {
  const end = await runEffect(deps, context, {
    request,
    beat: () => {
      beat(task);
    },
  });
  if ('stale' in end) return end;
  const { releases, plan } = context.compiled;
  const releasesNow = releases.has(request.task) && !end.rows.some(([, status]) => isAtWork(status));
  if (!releasesNow) return { rows: namedRows(plan.graph, end.rows), intent: end.intent, due: end.due ?? null, closed: null };
  return deps.own(context, { run: request.run, epoch: request.epoch, roots: [request.task], sliceMs: INLINE_SLICE_MS });
}

/** An epoch that is over ends the chain with it. */
function joined(before: OwnedOrStale, link: OwnedOrStale): OwnedOrStale {
  if ('stale' in before || 'stale' in link) return { stale: true };
  return { ...link, rows: [...before.rows, ...link.rows] };
}

/** Ends that let a chain go on; of any other, and of a wait, the workflow has to know at once. */
const HARMLESS: ReadonlySet<OutcomeRow[1]> = new Set<OutcomeRow[1]>(['completed', 'skipped']);

/** The one task that waits for what was done here, if it is an effect that can run and needs nothing else. */
function soleEffect(context: RunContext, answer: OwnedOrStale): number | undefined {
  if ('stale' in answer || !isQuiet(answer)) return undefined;
  const { plan, index, dependants } = context.compiled;
  const done = new Set(answer.rows.map(([name]) => index.get(name) ?? -1));
  const waiting = new Set([...done].flatMap((task) => dependants(task)).filter((task) => !done.has(task)));
  const [next, another] = waiting;
  if (next === undefined || another !== undefined || plan.graph.classes[next] !== EFFECT) return undefined;
  if (!(plan.graph.deps[next] ?? []).every(([dependency]) => done.has(dependency))) return undefined;
  if (!isItsTurn(plan.graph, done, next)) return undefined;
  const state = createState(plan.graph);
  recordRows(state, answer.rows);
  return verdict(state, next) === RUN ? next : undefined;
}

/** Whether no other task goes before it: of those that go one at a time, what was done here comes right before it. */
function isItsTurn({ inTurn, rank, places }: Graph, done: ReadonlySet<number>, next: number): boolean {
  if (!inTurn) return rank === undefined || places === undefined; // somebody of a lower rank may wait for the place
  return next === [...done].reduce((first, task) => Math.min(first, task), next) + done.size;
}

const isQuiet = ({ rows, intent, due, closed }: Owned): boolean =>
  rows.length > 0 &&
  intent === null &&
  due === null &&
  closed === null &&
  rows.every(([, status, , generation]) => HARMLESS.has(status) && (generation ?? 0) === 0);
