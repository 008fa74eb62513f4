import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { processStart } from '../../tools/setup.mjs';

/** A process of the stack; `start` tells it from a later one with the same number, `signal` asks it to end. */
export type RunningPart = { name: string; pid: number; start: string; signal: NodeJS.Signals };
type StackPorts = { apis?: number[]; postgres?: number; temporal?: number; temporalUi?: number };

/** What a stack remembers about itself. Addresses are there only while it is up; ports are wanted again next time. */
export type StackRecord = {
  api?: string;
  temporal?: string;
  temporalUi?: string;
  database?: string;
  pid?: number;
  ports: StackPorts;
  parts: RunningPart[];
};

export function readStackFile(file: string): StackRecord {
  try {
    return { ports: {}, parts: [], ...(JSON.parse(fs.readFileSync(file, 'utf8')) as Partial<StackRecord>) };
  } catch {
    return { ports: {}, parts: [] };
  }
}

/** Readable by its owner alone: it holds the address of the database. */
export function writeStackFile(file: string, record: StackRecord): void {
  fs.writeFileSync(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

const GRACE_MS = 10_000;

/** Ends what a killed stack has left running. */
export async function endLeftovers(parts: readonly RunningPart[]): Promise<void> {
  const alive = () => parts.filter((part) => part.start !== '' && processStart(part.pid) === part.start);
  for (const part of alive()) signalTo(part.pid, part.signal);
  for (const until = Date.now() + GRACE_MS; alive().length > 0 && Date.now() < until;) await sleep(50);
  for (const part of alive()) signalTo(part.pid, 'SIGKILL');
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const endedMeanwhile = (error as NodeJS.ErrnoException).code === 'ESRCH';
    if (!endedMeanwhile) throw error;
  }
}
