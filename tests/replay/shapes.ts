import type { Json } from '../../src/domain/json.ts';
import type { Cluster } from '../chaos/support/cluster.ts';
import { inARow } from '../chaos/support/mixed.ts';
import { call, cancel, closed, define, happened, submit, transform, wait, type AcceptedRun } from '../chaos/support/runs.ts';

/** Must not appear in any history: it is in every input, output, label, header, reason and failure of the recorded runs. */
export const CANARY = 'canary-5e0d';

/** At so many events the server that records suggests to continue as new. */
export const SUGGESTED = 60;

export type Shape = {
  definition: Json;
  input?: Record<string, Json>;
  /** What is done to the run once it is accepted. */
  meddle?: (run: AcceptedRun) => Promise<unknown>;
  /** Which execution is kept: of the run itself unless told otherwise. */
  workflowId?: (run: AcceptedRun) => string;
  /** Keep the first execution of the run, not the last. */
  first?: boolean;
};

const labelled = (tasks: object, more: object = {}): Json => define(tasks, { labels: { note: CANARY }, ...more });
const after = (...ids: string[]) => ({ dependsOn: ids });

const effectOf =
  (cluster: Cluster) =>
  (more: object = {}, path = '/effect') =>
    call(cluster, `${path}${path.includes('?') ? '&' : '?'}secret=${CANARY}`, more);
const value = (more: object = {}) => transform(`\${input.secret + '${CANARY}'}`, more);

/** One run of each shape that the workflow code tells apart. */
export const shapes = (cluster: Cluster): Record<string, Shape> => ({
  ...finished(cluster),
  ...stopped(cluster),
  ...wideAndLong(cluster),
  ...ordered(cluster),
});

function finished(cluster: Cluster): Record<string, Shape> {
  const effect = effectOf(cluster);
  const many = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`e${i}`, effect(after('both'))]));
  return {
    chain: { definition: labelled(inARow(6, value), { output: { value: '${tasks.t5.output}' } }) },
    fanOut: { definition: labelled({ left: effect(), both: value(), ...many, end: value(after(...Object.keys(many), 'left')) }) },
    effects: { definition: labelled(inARow(3, effect)) },
    retry: { definition: labelled({ shy: effect({}, '/shy?fail=2'), end: value(after('shy')) }) },
    wait: { definition: labelled({ a: effect(), pause: wait('PT0.2S', after('a')), b: effect(after('pause')) }) },
    branches: {
      definition: labelled({
        pick: { type: 'switch', with: { cases: [{ if: 'input.n > 1', then: ['yes'] }], else: ['no'] } },
        yes: effect(),
        no: effect(),
        end: value({
          dependsOn: [
            { task: 'yes', when: ['completed', 'skipped'] },
            { task: 'no', when: ['completed', 'skipped'] },
          ],
        }),
      }),
    },
  };
}

function stopped(cluster: Cluster): Record<string, Shape> {
  const effect = effectOf(cluster);
  const begun = (run: AcceptedRun) => happened(cluster, run, 'task.started', 0);
  return {
    cancel: {
      definition: labelled({ held: effect({}, '/held'), pause: wait('${input.pause}'), end: value(after('held', 'pause')) }),
      meddle: async (run) => {
        await begun(run);
        await cancel(cluster, run, CANARY);
      },
    },
    cancelInTemporal: {
      definition: labelled({ held: effect({}, '/held') }),
      meddle: async (run) => {
        await begun(run);
        await cluster.cli('workflow', 'cancel', '--workflow-id', `run/${run.id}`);
      },
    },
    failed: {
      definition: labelled({
        a: effect(),
        bad: { type: 'assert', with: { that: 'false', message: CANARY }, ...after('a') },
        b: effect(after('bad')),
      }),
    },
    failFast: {
      definition: labelled(
        { a: effect(), bad: { type: 'assert', with: { that: 'false', message: CANARY }, ...after('a') }, pause: wait('${input.pause}') },
        { onError: 'failFast' },
      ),
    },
    external: {
      definition: labelled({ call: { type: 'activity', with: { taskQueue: 'nobody', activity: 'none', args: ['${input.n}'] } } }),
      workflowId: (run) => `activity/${run.id}/0/0`,
    },
    deadline: { definition: labelled({ held: effect({}, '/held'), pause: wait('${input.pause}') }, { deadline: 'PT1S' }) },
  };
}

function wideAndLong(cluster: Cluster): Record<string, Shape> {
  const effect = effectOf(cluster);
  return {
    wideMap: {
      definition: labelled({
        posts: { ...effect(), map: { items: ['${input.secret}', 2, 3], maxConcurrency: 2 } },
        end: value(after('posts')),
      }),
    },
    mapSlice: {
      definition: labelled({ posts: { ...effect(), map: { items: ['${input.secret}', 2, 3], maxConcurrency: 2 } } }),
      workflowId: (run) => `slice/${run.id}/0/0/0`,
    },
    inlineSlice: {
      definition: labelled({ each: { ...value(), map: { items: '${range(0, 600)}' } } }),
      workflowId: (run) => `slice/${run.id}/0/0/1`,
    },
    continueAsNew: { definition: labelled(inARow(16, (more) => effect(more, '/slow?ms=5'))), first: true },
    continued: { definition: labelled(inARow(16, (more) => effect(more, '/slow?ms=5'))) },
  };
}

function ordered(cluster: Cluster): Record<string, Shape> {
  const effect = effectOf(cluster);
  const last = { c: effect(), d: value(), e: effect(after('d')), pause: wait('PT0.2S'), f: value() };
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`e${i}`, effect(i % 2 === 0 ? { priority: 'high' } : {})]));
  return {
    sequence: { definition: labelled({ a: effect(), b: value(after('a')), ...last }, { strategy: 'sequential' }) },
    places: { definition: labelled({ ...many, end: value(after(...Object.keys(many))) }, { strategy: 'balanced', maxConcurrency: 2 }) },
    batches: { definition: labelled({ ...many, end: effect(after('e0')) }, { strategy: 'balanced', maxConcurrency: 9 }) },
  };
}

/** Carries a shape to its end. */
export async function play(cluster: Cluster, shape: Shape): Promise<AcceptedRun> {
  const open = cluster.receiver.hold('/held');
  const input = { secret: CANARY, pause: 'PT1H', n: 2, ...shape.input };
  const run = await submit(cluster, shape.definition, { input });
  await shape.meddle?.(run);
  await closed(cluster, [run]);
  open();
  return run;
}
