import fs from 'node:fs';

/**
 * The process that holds the local end `port` of a loopback connection. @returns undefined if it is gone
 * @param among looks at these alone: at all of a busy machine it takes long, and the caller stands still meanwhile
 */
export function processOf(port: number, among?: readonly number[]): number | undefined {
  const row = rowOf(port) ?? rowOf(port) ?? rowOf(port); // the table changes while it is read, and may miss one
  const socket = `socket:[${row?.[9] ?? ''}]`;
  const pids = among?.map(String) ?? fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((name) => holds(name, socket)).map(Number)[0];
}

function rowOf(port: number): string[] | undefined {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return fs
    .readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((columns) => columns[1] === local);
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
