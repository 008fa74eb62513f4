import { sendEvent } from '../../src/api/sendEvent.ts';
import type { Database } from '../../src/db/database.ts';
import { createCommands } from '../../src/db/commands.ts';
import { mainTasks } from '../../src/domain/plan/phases.ts';
import { Problem } from '../../src/domain/problem.ts';
import type { RunRows, WaitRow } from './database/tables.ts';
import type { Sample, Sending } from './definitions.ts';
import { Refusal, Unknown } from './substitutes/connection.ts';
import { Violation } from './watch.ts';
import type { World } from './world.ts';

/** A client that sends what tasks wait for: in time, or not. */
export type Senders = {
  /** A run was accepted. */
  accepted: (run: string, sample: Sample) => void;
  /** How many events have not been answered yet, at least; those that come too late are sent last. */
  unanswered: () => number;
  /** @throws Violation: one was lost, given twice, or is not what a task has got */
  check: () => void;
};

type Deps = Parameters<typeof sendEvent>[0];
type Sent = { id: string; name: string; key: string; answered: number };

const AGAIN_MS = 200;
const LOOK_MS = 150;
/** What the run waits for by now is sent within this. */
const MOST_MS = 1_500;

type Posting = { world: World; deps: Deps; workspace: string; sent: Sent[] };

/** Sends an event until it is answered, as a careful client does. */
function post(posting: Posting, event: Sent): void {
  const { world, deps, workspace } = posting;
  sendEvent(deps, { workspace, id: event.id, name: event.name, key: event.key, payload: event.id, by: 'key:1' }).then(
    ({ fresh }) => {
      if (fresh && event.answered > 0) throw new Violation(`event ${event.id} was taken for a new one after it had been answered`);
      event.answered++;
      world.trace(`event ${event.id} is answered`);
    },
    (error: unknown) => {
      if (!(error instanceof Problem || error instanceof Refusal || error instanceof Unknown)) throw error;
      later(world, AGAIN_MS, () => {
        post(posting, event);
      });
    },
  );
}

const later = ({ clock }: World, ms: number, what: () => void): void => void clock.after(ms, what, 0);

/** A new event, perhaps twice. */
function send(posting: Posting, of: { name: string; key: string }, { after, times }: { after: number; times: number }): void {
  const { world, sent } = posting;
  const event: Sent = { ...of, id: `e${sent.length}`, answered: 0 };
  sent.push(event);
  for (let i = 0; i < times; i++)
    later(world, after, () => {
      world.trace(`a client sends ${event.id}, ${event.name} ${event.key}`);
      post(posting, event);
    });
}

/** @param rows the way to the database of a process that lives as long as the world */
export function createSenders(world: World, { workspace, rows }: { workspace: string; rows: Database['rows'] }): Senders {
  const { random, tables } = world;
  const samples = new Map<string, Sample>();
  const seen = new Set<string>();
  const deps = { db: { rows }, config: { TIU_EVENT_DAYS: 7 }, poke: createCommands({ url: '' }).poke } as unknown as Deps;
  const posting: Posting = { world, deps, workspace, sent: [] };
  let calmLooks = 0;
  const tend = (run: string, sample: Sample): void => {
    const own = tables.runs.get(run);
    for (const wait of own?.waits.values() ?? []) {
      const sending = sendingOf(sample, wait);
      const place = `${run}/${wait.task}/${wait.generation}`;
      if (!own || sending === undefined || seen.has(place) || !isTime(own, wait, sending)) continue;
      if (sending === 'late' && calmLooks < 2) continue; // a retry, which may be under way yet, would get it
      seen.add(place);
      const of = JSON.parse(wait.data ?? '{}') as { name: string; key: string };
      send(posting, of, { after: random() * MOST_MS, times: sending === 'twice' ? 2 : 1 });
      if (sending === 'twice') send(posting, of, { after: random() * MOST_MS, times: 1 });
    }
  };
  const look = (): void => {
    if (world.isCalm) calmLooks += 1;
    for (const [run, sample] of samples) tend(run, sample);
    later(world, LOOK_MS, look);
  };
  later(world, LOOK_MS, look);
  return {
    accepted: (run, sample) => {
      if (samples.has(run)) return;
      samples.set(run, sample);
      for (const [task, sending] of Object.entries(sample.events))
        if (sending === 'early') send(posting, { name: 'go', key: keyOf(sample, task, run) }, { after: 0, times: 1 });
    },
    unanswered: () => posting.sent.filter(({ answered }) => answered === 0).length + Number(calmLooks < 2),
    check: () => {
      checkEvents(world, posting.sent);
    },
  };
}

const sendingOf = ({ plan, events }: Sample, { kind, task }: WaitRow): Sending | undefined =>
  kind === 'event' ? events[plan.graph.names[task] ?? ''] : undefined;

/** As its definition says it, which names the run. */
function keyOf({ plan }: Sample, task: string, run: string): string {
  const { key } = plan.tasks[plan.graph.names.indexOf(task)]?.with ?? {};
  return typeof key === 'string' ? key.replace('${run.id}', run) : '';
}

/** Too late is when the run has ended: before that, another generation may wait. */
function isTime({ state }: RunRows, { closed, decision }: WaitRow, sending: Sending): boolean {
  if (sending === 'never') return false;
  return sending === 'late' ? state.finished !== null : !closed && decision === null;
}

/** What tasks have got was sent, to them, and each event of a run's own at most once. */
function checkEvents({ tables }: World, sent: readonly Sent[]): void {
  for (const { id } of sent)
    if (![...tables.events.values()].some((event) => event.id === id)) throw new Violation(`event ${id} was answered and is lost`);
  const got = new Map<string, string>();
  for (const { state, waits, tasks, commands } of tables.runs.values())
    for (const wait of waits.values()) {
      const row = tasks.get(`${wait.task}/${wait.item}/${wait.generation}`);
      if (wait.kind !== 'event' || row?.status !== 'completed' || row.output === null || row.output === 'null') continue;
      const place = `${state.run}/${wait.task}/${wait.generation}`;
      if (commands.some(({ type, task }) => type === 'complete' && task === wait.task)) continue;
      const { name, key } = JSON.parse(wait.data ?? '{}') as { name: string; key: string };
      const event = [...tables.events.values()].find(({ payload }) => payload === row.output);
      if (event?.name !== name || event.key !== key || event.taken === null)
        throw new Violation(`task ${place} waited for ${name} ${key} and got ${row.output}`);
      const other = got.get(event.id);
      if (other !== undefined && key !== 'shared') throw new Violation(`event ${event.id} was given to ${other} and to ${place}`);
      got.set(event.id, place);
    }
}

/** Rounds of loops: each counted once in its generation, as many as the definition has, and called under a key of its own. */
export function checkRounds({ outside }: World, rows: RunRows, { plan, rounds, deadline, failFast }: Sample): void {
  const { state, events, commands } = rows;
  const { names } = plan.graph;
  const isMeddledWith = deadline || failFast || commands.some(({ type }) => ['cancel', 'skip', 'complete'].includes(type));
  for (const [name, wanted] of Object.entries(rounds)) {
    const task = names.indexOf(name);
    if (task >= mainTasks(plan.graph)) continue;
    let generation = 0;
    let round = 0;
    for (const { task: of, item, type, data } of events) {
      if (of !== task || item !== null) continue;
      const told = JSON.parse(data ?? 'null') as { generation?: number; round?: number } | null;
      if (type === 'task.pending' && told?.generation !== undefined) [generation, round] = [told.generation, 0];
      if (type !== 'task.retrying' || told?.round === undefined) continue;
      if (told.round !== ++round) throw new Violation(`round ${told.round} of ${name} of ${state.run} came after ${round - 1}`);
    }
    const last = rows.tasks.get(`${task}/-1/${generation}`);
    const isWhole = last?.status === 'completed' || last?.status === 'failed';
    const key = (n: number): string => `${state.run}/${name}/-/${generation}${n === 0 ? '' : `/${n}`}`;
    if (outside.calls.has(key(wanted))) throw new Violation(`${name} of ${state.run} went into round ${wanted + 1} of ${wanted}`);
    if (!isWhole || isMeddledWith || rows.forkedFrom !== null) continue;
    if (round !== wanted - 1) throw new Violation(`${name} of ${state.run} ended in round ${round + 1} of ${wanted}`);
    for (let n = 0; n < wanted; n++)
      if (!outside.calls.has(key(n))) throw new Violation(`round ${n + 1} of ${name} of ${state.run} was never called`);
  }
}
