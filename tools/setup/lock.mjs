// A lock file that names its owner, so that a killed owner's lock is recognised and taken over.
import fs from 'node:fs';
import { readOr } from './ground.mjs';

/** Start time of a process where the system tells it: a process id is used again, the pair is not. */
export function processStart(pid) {
  const stat = readOr(`/proc/${pid}/stat`, '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] || '';
}

function isAlive(pid, start) {
  try {
    process.kill(pid, 0);
  } catch (e) {
    if (e.code !== 'EPERM') return false;
  }
  return start === '' || processStart(pid) === start;
}

/** The process id of the living owner of a lock, if there is one. */
export function lockOwner(file) {
  const [pid, start = ''] = readOr(file, '').split(' ');
  return Number(pid) > 0 && isAlive(Number(pid), start) ? Number(pid) : undefined;
}

/** @returns a function that frees the lock, or undefined if a living process holds it */
export function tryLock(file) {
  const mine = `${process.pid} ${processStart(process.pid)}`;
  for (;;) {
    const fresh = `${file}.${process.pid}`;
    fs.writeFileSync(fresh, mine);
    try {
      fs.linkSync(fresh, file);
      return () => {
        if (readOr(file, '') === mine) fs.rmSync(file, { force: true });
      };
    } catch (e) {
      if (e.code !== 'EEXIST') throw e;
    } finally {
      fs.rmSync(fresh, { force: true });
    }
    const seen = readOr(file, '');
    if (lockOwner(file) !== undefined) return undefined;
    takeAside(file, seen);
  }
}

/** Of several who find the same dead lock one moves it away; who moved somebody's new lock puts it back. */
function takeAside(file, seen) {
  const aside = `${file}.${process.pid}.dead`;
  try {
    fs.renameSync(file, aside);
  } catch (e) {
    if (e.code === 'ENOENT') return;
    throw e;
  }
  if (readOr(aside, '') === seen) fs.rmSync(aside, { force: true });
  else fs.renameSync(aside, file);
}

/** Waits until the lock is free. `onWait` is told once whom it waits for. */
export async function waitForLock(file, onWait) {
  for (let told = false; ; told = true) {
    const free = tryLock(file);
    if (free) {
      process.once('exit', free);
      return free;
    }
    if (!told) onWait(lockOwner(file));
    await new Promise((r) => setTimeout(r, 200));
  }
}
