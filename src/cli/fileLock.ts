import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const AGAIN_MS = 50;
/** Nobody holds one so long: should the owner's id belong to another process by now, it is taken over all the same. */
const MAX_AGE_MS = 60_000;

/** Runs `work` while no other process of this machine does so under the same lock file. A dead owner's lock is taken over. */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  while (!tryLock(file)) await sleep(AGAIN_MS);
  try {
    return await work();
  } finally {
    if (read(file)?.owner === process.pid) fs.rmSync(file, { force: true });
  }
}

function tryLock(file: string): boolean {
  try {
    fs.writeFileSync(file, `${process.pid}`, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const seen = read(file);
  if (seen && isDead(seen)) takeAside(file, seen);
  return false;
}

/** `owner`: 0 while it is being made. */
type Lock = { owner: number; since: number };

function read(file: string): Lock | undefined {
  try {
    return { since: fs.statSync(file).mtimeMs, owner: Number(fs.readFileSync(file, 'utf8')) };
  } catch {
    return undefined; // freed meanwhile
  }
}

const isDead = ({ owner, since }: Lock): boolean => Date.now() - since > MAX_AGE_MS || (owner > 0 && !isAlive(owner));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Of several who find the same dead lock one moves it away; who has moved somebody's new lock puts it back. */
function takeAside(file: string, seen: Lock): void {
  const aside = `${file}.${process.pid}.dead`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = read(aside);
  if (moved?.owner === seen.owner && moved.since === seen.since) fs.rmSync(aside, { force: true });
  else fs.renameSync(aside, file);
}
