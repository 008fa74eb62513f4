import fs from 'node:fs';

type Ends = { near: number; far: number };

/**
 * The process that holds the near end of a loopback connection. @returns undefined if it is gone
 * @param ends its ports: the near one alone may be that of a connection to another server, too
 * @param among looks at these alone: at all of a busy machine it takes long, and the caller stands still meanwhile
 */
export function processOf(ends: Ends, among?: readonly number[]): number | undefined {
  const row = rowOf(ends) ?? rowOf(ends) ?? rowOf(ends); // the table changes while it is read, and may miss one
  const socket = `socket:[${row?.[9] ?? ''}]`;
  const pids = among?.map(String) ?? fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((name) => holds(name, socket)).map(Number)[0];
}

const loopback = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;

function rowOf({ near, far }: Ends): string[] | undefined {
  return fs
    .readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((columns) => columns[1] === loopback(near) && columns[2] === loopback(far));
}

function holds(pid: string, socket: string): boolean {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === socket);
  } catch {
    return false; // it has ended, or is another user's
  }
}

function linkOf(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch {
    return '';
  }
}
