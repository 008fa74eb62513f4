import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { define, transform } from '../../tests/chaos/support/runs.ts';
import type { Battle, Struck } from './faults.ts';
import type { Field } from './field.ts';
import type { Sample } from './samples.ts';
import { post, submitUntilAccepted, type Answer } from './submits.ts';

/** Each is a small file system in memory, so that filling it up is quick and hurts nobody else; MB. */
const VOLUMES = { postgres: 384, temporal: 64, objects: 48 } as const;
type Volume = keyof typeof VOLUMES;

const mount = (folder: string, megabytes: number) => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', folder], { stdio: 'ignore' });
};
const unmount = (folder: string) => {
  execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' });
};

/** Whether this process may mount a file system: root usually may, in a container often not. */
export function canMount(): boolean {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-mount-'));
  try {
    mount(folder, 1);
    unmount(folder);
    return true;
  } catch {
    return false;
  } finally {
    fs.rmdirSync(folder);
  }
}

/** Mounts a volume on each folder of a cluster that fills up. @returns what unmounts them */
export function mountVolumes(folder: string): () => void {
  for (const [name, megabytes] of Object.entries(VOLUMES)) mount(path.join(folder, name), megabytes);
  return () => {
    for (const name of Object.keys(VOLUMES)) unmount(path.join(folder, name));
  };
}

/** A volume after the other is filled to its last byte, and freed when the service has said what it must say. */
export async function fillUp(battle: Battle): Promise<Struck> {
  if (!canMount()) return { back: null, skipped: 'needs mount' };
  await full(battle.field, 'postgres', () => submitsAreRefused(battle));
  await full(battle.field, 'temporal', () => submitsAreAccepted(battle));
  await full(battle.field, 'objects', () => uploadsAreRefused(battle));
  return { back: Date.now() };
}

const BLOCK = 1 << 20;
const REFILL_MS = 50;

async function full(field: Field, volume: Volume, meanwhile: () => Promise<void>): Promise<void> {
  const file = path.join(field.cluster.folder, volume, 'filler');
  const filling = setInterval(() => {
    fill(file); // what a server gives back is taken at once
  }, REFILL_MS);
  fill(file);
  try {
    await meanwhile();
  } finally {
    clearInterval(filling);
    fs.rmSync(file);
  }
  // whoever ended for lack of room is started again, as any supervisor does
  for (const server of [field.cluster.postgres, field.cluster.temporal]) if (!isAlive(server.pid)) await server.start();
}

function fill(file: string): void {
  const handle = fs.openSync(file, 'a');
  try {
    for (let size = BLOCK; size >= 512; size >>= 1) while (isWritten(handle, size));
  } finally {
    fs.closeSync(handle);
  }
}

/** @returns whether there was room for so many bytes, or for some of them */
function isWritten(handle: number, size: number): boolean {
  try {
    return fs.writeSync(handle, Buffer.alloc(size)) > 0;
  } catch {
    return false;
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Within this the service has noticed, ms. */
const NOTICE_MS = 30_000;
const LARGE_INPUT = 500_000;

/** Large inputs need room in the database: once there is none, 503 with Retry-After. Repeated later under their keys, they are accepted once. */
async function submitsAreRefused({ field, load, breach }: Battle): Promise<void> {
  const sample: Sample = {
    ...{ shape: 'large input', status: 'completed', input: { text: 'x' }, output: LARGE_INPUT },
    definition: define({ a: transform('${size(input.text)}') }, { output: { value: '${tasks.a.output}' } }),
  };
  const sent: { key: string; sample: Sample }[] = [];
  const answers: Answer[] = [];
  for (const until = Date.now() + NOTICE_MS; Date.now() < until && !answers.some(isRefused);) {
    // not to be compressed away
    const text = Array.from({ length: LARGE_INPUT }, (_, i) =>
      String.fromCharCode(33 + ((i * 7919 + sent.length * 31 + (i >> 3) * 104_729) % 90)),
    ).join('');
    const one = { key: randomUUID(), sample: { ...sample, input: { text } } };
    sent.push(one);
    const body = { definition: sample.definition, input: one.sample.input };
    const answer = await post(field, sent.length, { path: '/runs', body, key: one.key }).catch(() => undefined);
    if (answer) answers.push(answer);
    else await sleep(REFILL_MS);
  }
  judge(answers, breach, 'a submit with the database full');
  void Promise.all(
    sent.map(async (one, i) => {
      load.add(await submitUntilAccepted(field, one.sample, { api: i, key: one.key }), sample);
    }),
  ).catch((error: unknown) => {
    breach((error as Error).message);
  });
}

const isRefused = ({ status }: Answer): boolean => status === 503;

function judge(answers: readonly Answer[], breach: (what: string) => void, what: string): void {
  for (const { status, retryAfter, body } of answers)
    if (status >= 300 && !(status === 503 && retryAfter !== null))
      breach(`${what} was answered ${status}, Retry-After ${String(retryAfter)}: ${JSON.stringify(body)}`);
  if (!answers.some(isRefused)) breach(`${what} was not refused within ${NOTICE_MS / 1000} s`);
}

const TEMPORAL_FULL_MS = 4_000;

/** The api does not need Temporal: it accepts, and what it accepts goes on when there is room again. */
async function submitsAreAccepted({ field, load, breach }: Battle): Promise<void> {
  const sample: Sample = { shape: 'probe', definition: define({ a: transform(1) }), input: {}, status: 'completed' };
  for (let i = 0; i < 4; i++) {
    const answer = await post(field, i, { path: '/runs', body: { definition: sample.definition } });
    if (answer.status !== 202 || answer.body.id === undefined) breach(`a submit with Temporal full was answered ${answer.status}`);
    else load.add({ id: answer.body.id, definition: sample.definition, status: 'completed' }, sample);
    await sleep(TEMPORAL_FULL_MS / 4);
  }
}

const LARGE_OUTPUT = 200_000;
const OBJECTS_FULL_MS = 2_000;

/** Uploads are refused; a run whose output is too large for its row waits for room instead of failing. */
async function uploadsAreRefused({ field, load, breach }: Battle): Promise<void> {
  const sample: Sample = {
    ...{ shape: 'large output', status: 'completed', input: {}, output: LARGE_OUTPUT },
    definition: define({ a: transform('x'.repeat(LARGE_OUTPUT)) }, { output: { value: '${size(tasks.a.output)}' } }),
  };
  load.add(await submitUntilAccepted(field, sample, { api: 0 }), sample);
  const response = await fetch(`${field.apis[0]?.url ?? ''}/api/v1/artifacts`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${field.cluster.key}`,
      'content-type': 'application/octet-stream',
      'idempotency-key': randomUUID(),
    },
    body: Buffer.alloc(BLOCK, randomUUID()),
  });
  const body = (await response.json()) as Answer['body'];
  judge([{ status: response.status, retryAfter: response.headers.get('retry-after'), body }], breach, 'an upload with no room for objects');
  await sleep(OBJECTS_FULL_MS);
}
