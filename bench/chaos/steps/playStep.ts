import { randomUUIDv7 } from 'node:crypto';
import { eventsOf, statesOf, type AcceptedRun } from '../../../tests/chaos/support/runs.ts';
import { until } from '../../../tests/support/until.ts';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import { compile } from '../../../src/domain/plan/compile.ts';
import { processOf } from '../../../tests/chaos/support/processOf.ts';
import type { Field } from '../field.ts';
import { post, postUntilAnswered, type Answer } from '../submits.ts';
import { armGate, type Place } from './gate.ts';
import { SCENES, type Scene, type Step } from './scenes.ts';

export type Played = {
  step: Step;
  runs: AcceptedRun[];
  /** From the death to the end of the run, ms. */
  ms: number;
  /** Calls beyond the first of their key: of the effect at which somebody was killed, and of others. */
  repeated: number;
  unexplained: number;
  /** What is wrong already. */
  faults: string[];
};

/** A run at the step at which somebody is to be killed. `ask`: what brings it there; `again`: what a client asks that got no answer. */
type Staged = { run: AcceptedRun; others: AcceptedRun[]; ask: Request; again: Request };
type Request = { path: string; body: object; key?: string };

const ENDS_MS = 90_000;

/** Brings a run to a step, kills whoever takes it, and sees what becomes of the run. `n`: makes its paths its own. */
export async function playStep(field: Field, step: Step, n: number): Promise<Played> {
  const path = `/step${n}`;
  const scene = SCENES[step.scene](field.cluster, path);
  const staged = await stage(field, step, scene);
  const faults: string[] = [];
  const { before, at } = await strike(field, { step, staged, path, scene, faults });
  await closed(field, staged.run.id);
  const ms = Date.now() - at;
  const after = await eventsOf(field.cluster, staged.run.id);
  if (JSON.stringify(after.slice(0, before.length)) !== JSON.stringify(before)) faults.push('what had been committed before has changed');
  return { step, runs: [staged.run, ...staged.others], ms, ...countCalls(field, step, path), faults };
}

const closed = (field: Field, run: string): Promise<unknown> =>
  until(`${run} ends`, async () => (await statesOf(field.cluster, [run]))[0]?.finished ?? undefined, ENDS_MS);

async function stage(field: Field, { scene: name }: Step, scene: Scene): Promise<Staged> {
  const accepted = (id: string): AcceptedRun => ({ id, definition: scene.definition, status: scene.status, tasks: scene.tasks });
  const run = accepted(randomUUIDv7());
  const start = { path: '/runs', body: { definition: scene.definition, runId: run.id } };
  if (name === 'compensation') return { run, others: [], ask: start, again: start };
  expect202(await postUntilAnswered(field, 0, start), 'a start');
  if (name === 'approval') {
    await until('it waits', async () => (await statesOf(field.cluster, [run.id]))[0]?.status === 'waiting');
    const ask = { path: `/runs/${run.id}/tasks/ask/approve`, body: {} };
    return { run, others: [], ask, again: ask };
  }
  await closed(field, run.id);
  if (name === 'retry') {
    const ask = { path: `/runs/${run.id}/retry`, body: {} };
    return { run, others: [], ask, again: ask };
  }
  const fork = accepted(randomUUIDv7());
  const ask = { path: `/runs/${run.id}/fork`, body: { from: ['b'], runId: fork.id } };
  return { run: fork, others: [run], ask, again: ask };
}

function expect202({ status, body }: Answer, what: string): void {
  if (status !== 202) throw new Error(`${what} was answered ${status} ${JSON.stringify(body)}`);
}

type Striking = { step: Step; staged: Staged; path: string; scene: Scene; faults: string[] };
type Struck = { before: Awaited<ReturnType<typeof eventsOf>>; at: number };

const strike = (field: Field, striking: Striking): Promise<Struck> =>
  'call' in striking.step ? strikeAtCall(field, { ...striking, suffix: striking.step.call }) : strikeAtCommit(field, striking);

/** With the call under way. */
async function strikeAtCall(field: Field, { staged, path, suffix }: Striking & { suffix: string }): Promise<Struck> {
  const { receiver } = field.cluster;
  const open = receiver.hold(`${path}/${suffix}`);
  // that of an earlier generation was answered, or the run would not stand here
  const known = receiver.calls.length;
  expect202(await postUntilAnswered(field, livingApi(field), staged.ask), staged.ask.path);
  const { port } = await until(`a call of ${suffix}`, () =>
    receiver.calls.slice(known).find((call) => call.path.startsWith(`${path}/${suffix}`)),
  );
  const pid = processOf({ near: port, far: receiver.port }, pidsOf(field.workers)());
  const before = await eventsOf(field.cluster, staged.run.id);
  await killProcess(field, pid);
  open();
  return { before, at: Date.now() };
}

async function strikeAtCommit(field: Field, { step, staged, scene, faults }: Striking): Promise<Struck> {
  if (!('type' in step)) throw new Error('no commit');
  const key = randomUUIDv7();
  const gate = await armGate(field.cluster, placeOf(step, staged, { scene, key }));
  try {
    const api = livingApi(field);
    const asked = step.victim === 'api' ? post(field, api, { ...staged.ask, key }).catch(() => undefined) : undefined;
    if (!asked) expect202(await postUntilAnswered(field, api, staged.ask), staged.ask.path);
    const held = await gate.held(pidsOf(step.victim === 'api' ? field.apis : field.workers));
    const before = await eventsOf(field.cluster, staged.run.id);
    await killProcess(field, held.pid);
    const at = Date.now();
    await held.open(step.how);
    if (asked) await askAgain(field, { step, staged, faults, key, answer: await asked });
    return { before, at };
  } finally {
    await gate.close();
  }
}

function placeOf(step: Extract<Step, { type: string }>, { run }: Staged, { scene, key }: { scene: Scene; key: string }): Place {
  if (step.type === 'answer.kept') return { type: step.type, key };
  return { type: step.type, run: run.id, ...(step.task !== undefined && { task: indexOf(scene, step.task) }) };
}

function indexOf({ definition }: Scene, task: string): number {
  const read = readDefinitionValue(definition);
  if (!('definition' in read)) throw new Error(JSON.stringify(read.issues));
  return compile(read.definition).graph.names.indexOf(task);
}

type Asking = { step: Extract<Step, { type: string }>; staged: Staged; faults: string[]; key: string; answer: Answer | undefined };

/** A client that got no answer asks again: what was not committed is accepted now, what was is known. */
async function askAgain(field: Field, { step, staged, faults, key, answer }: Asking): Promise<void> {
  if (answer !== undefined) faults.push(`who was killed had answered ${answer.status}`);
  // a key of commands is at work for a minute with whoever took it: another one tells at once whether the command was committed
  const isFork = step.scene === 'fork';
  const { status, body } = await postUntilAnswered(field, livingApi(field), { ...staged.again, ...(isFork && { key }) });
  const wanted = step.how === 'before' || isFork ? 202 : 409;
  if (status !== wanted) faults.push(`asked again it was answered ${status} ${JSON.stringify(body)}, not ${wanted}`);
  if (isFork && body.id !== staged.run.id) faults.push(`one key made two forks: ${String(body.id)}`);
}

const pidsOf = (places: readonly { pid: () => number | undefined }[]) => (): number[] =>
  places.flatMap((place) => {
    const pid = place.pid();
    return pid === undefined ? [] : [pid];
  });

const livingApi = ({ apis }: Field): number =>
  Math.max(
    0,
    apis.findIndex((api) => api.pid() !== undefined),
  );

async function killProcess({ workers, apis }: Field, pid: number | undefined): Promise<void> {
  const place = [...workers, ...apis].find((one) => pid !== undefined && one.pid() === pid);
  if (!place) throw new Error(`no process of ours has the id ${pid ?? ''}`);
  await place.kill();
}

/** One who dies with a call under way, or before its end is committed, leaves it to be called again. */
function countCalls(field: Field, step: Step, path: string): Pick<Played, 'repeated' | 'unexplained'> {
  const isLost = 'call' in step || (step.type === 'task.completed' && step.how === 'before');
  const extra = [
    ...Map.groupBy(
      field.cluster.receiver.calls.filter((call) => call.path.startsWith(`${path}/`)),
      ({ key }) => key,
    ),
  ].map(([key, calls]) => ({ key, n: calls.length - 1 }));
  const own = extra.filter(({ key }) => isLost && key.split('/')[1] === step.task).reduce((sum, { n }) => sum + n, 0);
  const all = extra.reduce((sum, { n }) => sum + n, 0);
  return { repeated: Math.min(own, 1), unexplained: all - Math.min(own, 1) };
}
