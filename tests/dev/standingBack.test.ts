import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { standingBack } from '../../src/dev/process.ts';

const groups = fs.existsSync('/proc/self/autogroup');

/** Starts something that stands back. @returns its nice value, and that of its group where the system has groups */
async function niceOf(session: 'own' | 'shared'): Promise<{ own: number; group: number | undefined }> {
  const child = spawn(...standingBack('/bin/sh', ['-c', 'echo ready; read line'], session), {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: session === 'own',
  });
  const gone = once(child, 'exit');
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  const group = groups ? Number(/nice (-?\d+)/.exec(fs.readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1]) : undefined;
  const own = os.getPriority(pid);
  child.stdin.end('\n');
  await gone;
  return { own, group };
}

test('a process of its own session stands back with its group, since nice values count inside of a group only', async () => {
  const before = os.getPriority();
  expect(await niceOf('own')).toEqual({ own: before + 5, group: groups ? 10 : undefined });
});

test('one that shares the session of whoever starts it leaves the others of the group alone', async () => {
  const { group } = await niceOf('shared');
  if (groups) expect(group).toBe(Number(/nice (-?\d+)/.exec(fs.readFileSync('/proc/self/autogroup', 'utf8'))?.[1]));
});
