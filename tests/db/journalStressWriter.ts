import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCommands } from '../../src/db/commands.ts';
import { openConnection } from '../../src/db/connection.ts';
import { createJournal } from '../../src/db/journal.ts';
import { Refused, Stale, type JournalRecord, type TaskRecord } from '../../src/db/journal/record.ts';
import { Problem } from '../../src/domain/problem.ts';
import { statement, WORKSPACE } from './journalRuns.ts';

/**
 * One process of the stress: segments, effects, zombies, commands and closings, all at once and for ever. What it was
 * promised goes to a file in one appending write a line, which survives SIGKILL.
 */
const { STRESS_URL: url = '', STRESS_ACKS: acks = '' } = process.env;
const note = (...words: (string | number)[]) => {
  fs.appendFileSync(acks, `${words.join(' ')}\n`);
};
const random = (below: number) => Math.floor(Math.random() * below);
const log = (event: string, { code }: Record<string, unknown>) => {
  if (typeof code === 'string' && /^(23505|40)/.test(code)) note('fault', event, code);
};
const journal = createJournal({ url, log });
const commands = createCommands({ url });
const db = openConnection({ url, name: 'stress' });
const rows = <R extends Record<string, unknown>>(text: string, ...values: unknown[]) => db.rows<R>(statement(text, values));

type Held = TaskRecord & { run: string; epoch: number };
const held: Held[] = [];

/** What task `i` of a run gives: odd characters, rows that the database refuses, and ordinary ones. */
function outputOf(run: string, i: number): string {
  const part = Number.parseInt(run.slice(-2), 16) % 4;
  if (i === 1) return JSON.stringify({ s: 'a\u0000b\ud800', k: { z: 1, a: 2 } });
  if (i === 2 && part === 1) return JSON.stringify('x'.repeat(1 << 20));
  if (i === 3 && part === 2) return '{broken';
  return JSON.stringify({ i });
}

/** Commits an end, or that it could not be stored. */
async function end(record: Held, segment: { dead?: Error }): Promise<void> {
  const done = async (last: Held & { segment: { dead?: Error } }) => {
    const { seq } = await journal.push(last);
    note('done', last.run, last.task, last.status, last.attempt, seq);
  };
  try {
    await done({ ...record, segment });
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'invalid_task_output') throw error;
    const rest = { ...record };
    delete rest.output;
    await done({ ...rest, status: 'failed', failure: '{"code":"invalid_task_output","message":"poisoned"}', segment: {} });
  }
}

async function pick(where: string): Promise<string | undefined> {
  return (await rows<{ run: string }>(`select run from run_state where finished is null and ${where} order by random() limit 1`))[0]?.run;
}

async function segment(): Promise<void> {
  const run = await pick(Math.random() < 0.8 ? 'open > 0 and (owner_until is null or owner_until < clock_timestamp())' : 'open > 0');
  if (run === undefined) return;
  const [claim] = await rows<{ epoch: number; total: number }>(
    `update run_state set epoch = epoch + 1, owner_until = clock_timestamp() + interval '1 s' where run = $1 and finished is null returning epoch, total`,
    run,
  );
  if (!claim) return;
  const known = await rows<{ task: number; attempt: number; finished: unknown }>(
    'select task, attempt, finished from task where run = $1',
    run,
  );
  const of = new Map(known.map((row) => [row.task, row]));
  const shared: { dead?: Error } = {};
  const token = randomUUID();
  const execute = async (task: number) => {
    await journal.room();
    const attempt = (of.get(task)?.attempt ?? 0) + 1;
    const base = { type: 'task', run, epoch: claim.epoch, task, item: -1, generation: 0, attempt, token } as const;
    const started = journal.push({ ...base, status: 'running', segment: shared }).catch(() => undefined);
    if (random(2) === 0) await sleep(random(60));
    await end({ ...base, status: 'completed', output: outputOf(run, task) }, shared);
    await started;
  };
  const left = Array.from({ length: claim.total }, (_, task) => task).filter((task) => !of.get(task)?.finished);
  await Promise.allSettled(left.map(execute));
}

/** An attempt is claimed by compare and set: who comes second with the same number is refused. */
async function effect(): Promise<void> {
  const run = await pick('open > 0');
  if (run === undefined) return;
  const task = random(10);
  const [row] = await rows<{ attempt: number; finished: unknown }>(
    'select attempt, finished from task where run = $1 and task = $2',
    run,
    task,
  );
  if (row?.finished) return;
  const attempt = (row?.attempt ?? 0) + 1;
  const record: Held = { type: 'task', run, epoch: 0, task, item: -1, generation: 0, attempt, token: randomUUID(), status: 'running' };
  await journal.push({ ...record, segment: {} });
  held.push(record);
  await sleep(random(100));
  await end({ ...record, status: 'completed', output: outputOf(run, task) }, {});
}

/** Somebody who wakes up after his task has gone to another. Only his own live claim may still pass. */
async function zombie(): Promise<void> {
  await sleep(30);
  const old = held[random(held.length)];
  if (!old) return;
  const late = [{}, { attempt: old.attempt - 1 }, { token: randomUUID() }][random(3)];
  const record: Held = { ...old, status: 'completed', output: '"zombie"', ...late };
  const { seq } = await journal.push({ ...record, segment: {} });
  note('done', record.run, record.task, 'completed', record.attempt, seq);
}

async function close(): Promise<void> {
  await sleep(30);
  const ready = await rows<{ run: string; epoch: number; applied: number; intent: string | null }>(
    'select run, epoch, command_seq::int as applied, intent from run_state where finished is null and open = 0 order by random() limit 5',
  );
  for (const { run, epoch, applied, intent } of ready) {
    const record: JournalRecord = {
      segment: {},
      run,
      epoch,
      applied,
      type: 'close',
      status: intent === null ? 'completed' : 'cancelled',
      output: '{}',
    };
    const { closed, seq } = await journal.push(record);
    if (closed) note('closed', run, closed, seq);
  }
}

async function command(): Promise<void> {
  await sleep(random(150));
  const run = await pick('true');
  if (run === undefined) return;
  const seq = await commands.command({ run, workspace: WORKSPACE, type: 'cancel', reason: 'stress', by: 'key:1' });
  note('command', run, seq);
}

async function forever(step: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof Stale)) await sleep(20);
    }
    await sleep(random(15));
  }
}

process.on('SIGTERM', () => {
  note('stats', JSON.stringify(journal.stats));
  process.exit(0);
});
for (const step of [segment, segment, segment, segment, effect, effect, effect, zombie, close, command]) void forever(step);
