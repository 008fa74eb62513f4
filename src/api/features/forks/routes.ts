import type { Json } from '../../../domain/json.ts';
import { hasAttempts } from '../../../domain/kinds/kind.ts';
import { KINDS } from '../../../domain/kinds/kinds.ts';
import { wasDone, type Why } from '../../../domain/plan/fork.ts';
import type { Plan } from '../../../domain/plan/plan.ts';
import { Problem } from '../../../domain/problem.ts';
import { countItems } from '../../../db/repositories/runs.ts';
import type { Seeds } from '../../../db/forks.ts';
import { idempotencyKey } from '../../http/idempotency.ts';
import { defineRoute, type Call, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { answerStarted } from '../../runs/acceptRun.ts';
import { decideFork, isDecided, sourceIsOpen, type Decided, type ForkBody, type ForkCall } from './decideFork.ts';
import { storeByHand } from '../../runs/outputByHand.ts';
import { loadRun } from '../../runs/readRun.ts';
import { accepted, startProblems } from '../../runs/startAnswers.ts';
import { runParams } from '../../runs/schemas.ts';
import { ForkPreview, ForkRun } from './schemas.ts';
import { keysOf } from '../../runs/startRun.ts';

type Request = ForkCall & Pick<Call<never, never, never, never>, 'headers' | 'gone'>;

/**
 * Accepts the fork: a new run that has what is kept. Of a source that is open the database is asked too: it knows the request if
 * the fork was accepted before the source was opened again, and refuses it otherwise.
 */
async function forkRun(call: Request, body: ForkBody): Promise<Reply> {
  const { deps, actor, resource, headers } = call;
  const keys = keysOf({ runId: body.runId, idempotencyKey: idempotencyKey(headers) }, deps.clock());
  const asked = await decideFork(call, body);
  const { submit, plan } = asked;
  const seeds = isDecided(asked) ? await seedsOf(call, body, asked) : nothingOf(resource.id);
  const release = deps.pressure.holdSubmit(actor.principal);
  const data = JSON.stringify({ forkedFrom: resource.id, reason: body.reason });
  const forked = deps.forkRun({ ...submit, ...keys, data }, seeds).catch((error: unknown) => {
    if (error instanceof Problem && error.code === 'state_conflict' && !isDecided(asked)) throw sourceIsOpen();
    throw error;
  });
  const { outcome, runId } = await forked.finally(release);
  if (outcome === 'conflict') throw new Problem('idempotency_mismatch');
  return answerStarted(call, { runId, plan, replayed: outcome === 'known' });
}

/** No run has an event of this number. */
const nothingOf = (source: string): Seeds => ({ source, seq: -1, kept: [], keepItems: [], given: [], note: '{}' });

async function seedsOf({ deps, actor, resource }: Request, body: ForkBody, { plan, fork, source }: Decided): Promise<Seeds> {
  const sourceIndex = new Map(source.plan.graph.names.map((name, task) => [name, task]));
  const orderOf = (task: number): number => source.order.get(task) ?? 0;
  const nameOf = (task: number): string => plan.graph.names[task] ?? '';
  const placesOf = (tasks: readonly number[]) => tasks.map((task) => ({ task, source: sourceIndex.get(nameOf(task)) ?? -1 }));
  return {
    source: resource.id,
    seq: source.seq,
    kept: placesOf(fork.kept).sort((a, b) => orderOf(a.source) - orderOf(b.source)),
    keepItems: placesOf(fork.keepItems),
    given: await Promise.all(
      fork.given.map(async (task) => ({ task, ...(await storeByHand(deps, actor.workspace, body.outputs?.[nameOf(task)] as Json)) })),
    ),
    note: JSON.stringify({ reason: body.reason, from: body.from, given: fork.given.map(nameOf) }),
  };
}

/** What the fork would do. */
async function previewFork(call: ForkCall, body: ForkBody): Promise<Reply> {
  const decided = await decideFork(call, body);
  if (!isDecided(decided)) throw sourceIsOpen();
  const { plan, fork, source } = decided;
  const items = await countItems(call.deps.db, call.resource.id);
  const touched = new Set(items.filter(({ status }) => wasDone(status)).map(({ task }) => task));
  const nameOf = (task: number): string => plan.graph.names[task] ?? '';
  const keepsItems = new Set(fork.keepItems.map(nameOf));
  const wasEffect = (name: string): boolean => {
    const task = source.plan.graph.names.indexOf(name);
    const kind = KINDS[source.plan.tasks[task]?.kind ?? ''];
    const isEffect = kind !== undefined && hasAttempts(kind);
    return isEffect && (wasDone(source.ended.get(task)) || (touched.has(task) && !keepsItems.has(name)));
  };
  const again = [...fork.again.keys()].map(nameOf);
  return {
    status: 200,
    body: {
      again,
      kept: fork.kept.map(nameOf),
      given: fork.given.map(nameOf),
      repeatedEffects: again.filter(wasEffect),
      artifactInputs: plan.artifactInputs,
      why: Object.fromEntries([...fork.again].map(([task, why]) => [nameOf(task), wordsOf(plan, why)])),
    },
  };
}

function wordsOf({ graph }: Plan, why: Why): string {
  switch (why.type) {
    case 'asked':
      return 'it was asked for';
    case 'new':
      return 'it is new';
    case 'changed':
      return 'its definition has changed';
    case 'marked':
      return 'its output is marked in part, and another definition does not get it';
    case 'input':
      return why.fields.length === 0
        ? 'it reads the whole input, which has changed'
        : `it reads ${why.fields.map((field) => `input.${field}`).join(', ')}`;
    case 'unfinished':
      return why.status === 'pending' ? 'it has not run' : `it was ${why.status}`;
    case 'depends':
      return `it depends on ${graph.names[why.on] ?? ''}`;
    case 'finally':
      return 'tasks of finally always run';
  }
}

const shared = {
  method: 'post',
  tag: 'runs',
  request: { params: runParams, query: noQuery, body: { schema: ForkRun } },
  load: loadRun,
} as const;

const fork = defineRoute({
  ...shared,
  path: '/api/v1/runs/{id}/fork',
  action: 'run.start',
  cost: 'write',
  summary: 'Start a run with what a closed one has done; what is named, has changed or did not complete runs again',
  description: 'Needs `Idempotency-Key`, or a `runId` of the client. `Prefer: wait=N` as for a start.',
  responses: accepted,
  problems: [...startProblems, 'state_conflict', 'invalid_task_output'],
  idempotency: 'own',
  handler: (call) => forkRun(call, call.body ?? {}),
});

const preview = defineRoute({
  ...shared,
  path: '/api/v1/runs/{id}/fork/preview',
  action: 'run.start',
  cost: 'read',
  summary: 'What a fork would run again and why, what it would keep, and which effects it would repeat; nothing is written',
  responses: { 200: { description: 'What would happen', schema: ForkPreview } },
  problems: ['state_conflict', 'invalid_task_output', 'invalid_definition', 'invalid_run_input', 'not_found', 'number_out_of_range'],
  handler: (call) => previewFork(call, call.body ?? {}),
});

export const forkRoutes: readonly Route[] = [fork, preview];
