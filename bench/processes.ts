import fs from 'node:fs';
import os from 'node:os';

/** Root processes of a stack by role; what they start counts with them. */
export type Roles = Readonly<Record<string, number>>;

/** Clock ticks a second of /proc; 100 on every Linux that Node runs on. */
const HZ = 100;
const PAGE = 4096;

type Stat = { ppid: number; ticks: number; pages: number };

function stat(pid: number): Stat | undefined {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (i: number) => fields[i] ?? 0;
    return { ppid: at(1), ticks: at(11) + at(12) + at(13) + at(14), pages: at(21) };
  } catch {
    return undefined; // it has ended
  }
}

/** The process and all below it. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of fs.readdirSync('/proc')) {
    const pid = Number(name);
    const found = Number.isInteger(pid) ? stat(pid) : undefined;
    if (found) children.set(found.ppid, [...(children.get(found.ppid) ?? []), pid]);
  }
  const all = [root];
  for (const pid of all) all.push(...(children.get(pid) ?? []));
  return all;
}

/** User and system CPU of each role so far, s, with children that have ended. */
export const cpuSeconds = (roles: Roles): Record<string, number> =>
  mapRoles(roles, (pids) => pids.reduce((sum, pid) => sum + (stat(pid)?.ticks ?? 0), 0) / HZ);

/** Resident memory of each role, bytes: pages that several processes share count once in `pss`, each time in `rss`. */
export const memoryBytes = (roles: Roles): Record<string, { rss: number; pss: number }> =>
  mapRoles(roles, (pids) => ({
    rss: pids.reduce((sum, pid) => sum + (stat(pid)?.pages ?? 0) * PAGE, 0),
    pss: pids.reduce((sum, pid) => sum + pssBytes(pid), 0),
  }));

function pssBytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0; // ended, or not ours to read
  }
}

const mapRoles = <T>(roles: Roles, measure: (pids: number[]) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(roles).map(([role, pid]) => [role, measure(processTree(pid))]));

/** CPU ticks of the whole machine since it started. */
function machineTicks(): { total: number; idle: number } {
  const [line = ''] = fs.readFileSync('/proc/stat', 'utf8').split('\n');
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { total: ticks.reduce((sum, n) => sum + n, 0), idle: (ticks[3] ?? 0) + (ticks[4] ?? 0) };
}

/** Measures how much of the machine others used meanwhile: what ours used is taken off. */
export function watchMachine(roles: Roles): () => { cpu: Record<string, number>; clientSeconds: number; foreignShare: number } {
  const before = { machine: machineTicks(), roles: cpuSeconds(roles), client: process.cpuUsage() };
  return () => {
    const now = machineTicks();
    const total = (now.total - before.machine.total) / HZ;
    const busy = total - (now.idle - before.machine.idle) / HZ;
    const after = cpuSeconds(roles);
    const cpu = Object.fromEntries(Object.keys(roles).map((role) => [role, Math.max(0, (after[role] ?? 0) - (before.roles[role] ?? 0))]));
    const { user, system } = process.cpuUsage(before.client);
    const clientSeconds = (user + system) / 1e6;
    const ours = Object.values(cpu).reduce((sum, seconds) => sum + seconds, clientSeconds);
    return { cpu, clientSeconds, foreignShare: total > 0 ? Math.max(0, busy - ours) / total : 0 };
  };
}

export const machine = (): string =>
  `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? '?'}, ${Math.round(os.totalmem() / 2 ** 30)} GB, Linux ${os.release()}`;
