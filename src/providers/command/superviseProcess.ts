import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { Problem } from '../../domain/problem.ts';

export type ProcessLimits = {
  /** Of each output the bytes that are kept; the rest is read and dropped. */
  keepBytes: number;
  /** Of both outputs together; more ends the process. */
  maxBytes: number;
  /** Between asking everything to end (SIGTERM) and ending it (SIGKILL), ms. */
  graceMs: number;
};

type Start = { argv: readonly string[]; folder: string; stdin: string; env: Record<string, string>; signal: AbortSignal };

/** `truncated`: an output was longer than what was kept of it. Either `exitCode` or `killedBy` is not null. */
export type Ended = { exitCode: number | null; killedBy: string | null; stdout: string; stderr: string; truncated: boolean };

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Outputs that something outside the group still holds open are not waited for any longer, ms. */
const LINGER_MS = 500;

/**
 * Runs a program in a process group of its own. When it ends, is aborted or writes too much, the whole group ends.
 * @throws Problem command_not_started | command_output_too_large | invalid_task_input | unavailable | the reason of the signal, once
 *   everything has ended
 */
export async function superviseProcess(start: Start, limits: ProcessLimits): Promise<Ended> {
  const { argv, folder, stdin, env, signal } = start;
  const [file = '', ...args] = argv;
  const child = begin(file, args, { folder, env });
  const stopping: { reason?: unknown; timer?: NodeJS.Timeout } = {};
  const stop = (reason: unknown) => {
    if (stopping.timer !== undefined) return;
    stopping.reason = reason;
    signalGroup(child, 'SIGTERM');
    stopping.timer = setTimeout(() => {
      signalGroup(child, 'SIGKILL');
    }, limits.graceMs);
  };
  const abort = () => {
    stop(signal.reason);
  };
  const onSize = counter(limits.maxBytes, () => {
    stop(new Problem('command_output_too_large', { data: { max: limits.maxBytes } }));
  });
  const outputs = [child.stdout, child.stderr].map((stream) => keepStart(stream, limits.keepBytes, onSize));
  child.stdin.on('error', () => undefined); // it may end without having read everything
  child.stdin.end(stdin);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    const { exitCode, killedBy } = await endOf(child);
    if (stopping.timer !== undefined) throw stopping.reason;
    const [stdout = NOTHING, stderr = NOTHING] = outputs.map((output) => output());
    return { exitCode, killedBy, stdout: stdout.text, stderr: stderr.text, truncated: stdout.truncated || stderr.truncated };
  } finally {
    signal.removeEventListener('abort', abort);
    clearTimeout(stopping.timer);
  }
}

function begin(file: string, args: readonly string[], { folder, env }: Pick<Start, 'folder' | 'env'>): Child {
  try {
    return spawn(file, args, { cwd: folder, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  } catch (error) {
    throw notStarted(error);
  }
}

/** That this machine is out of processes, files or memory is not the task's fault. */
const EXHAUSTED = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

function notStarted(cause: unknown): Problem {
  const code = String((cause as { code?: unknown }).code);
  if (EXHAUSTED.has(code)) return new Problem('unavailable', { detail: `No process can be started: ${code}`, cause });
  if (code === 'E2BIG') return new Problem('invalid_task_input', { detail: 'with.args and with.env together are too long', cause });
  return new Problem('command_not_started', { cause });
}

const NOTHING = { text: '', truncated: false };

/** Resolves when the process has ended, what it left in its group too, and its outputs are read. */
function endOf(child: Child): Promise<{ exitCode: number | null; killedBy: string | null }> {
  return new Promise((resolve, reject) => {
    let linger: NodeJS.Timeout | undefined;
    child.on('error', (cause) => {
      reject(notStarted(cause));
    });
    child.on('exit', () => {
      signalGroup(child, 'SIGKILL');
      linger = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, LINGER_MS);
    });
    child.on('close', (exitCode, killedBy) => {
      clearTimeout(linger);
      resolve({ exitCode, killedBy });
    });
  });
}

function signalGroup({ pid }: Child, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // nothing is left of it
  }
}

/** Says once that the sizes it is told add up to more than `max`. */
function counter(max: number, onMore: () => void): (bytes: number) => void {
  let left = max;
  return (bytes) => {
    const before = left;
    left -= bytes;
    if (left < 0 && before >= 0) onMore();
  };
}

/** Reads all of a stream and keeps its start. @returns what was kept; a character that was cut in the middle is left out */
function keepStart(stream: Readable, max: number, onSize: (bytes: number) => void): () => { text: string; truncated: boolean } {
  const kept: Buffer[] = [];
  let [size, truncated] = [0, false];
  stream.on('error', () => undefined); // the end of the process says what happened
  stream.on('data', (chunk: Buffer) => {
    onSize(chunk.length);
    const part = chunk.subarray(0, max - size);
    truncated ||= part.length < chunk.length;
    size += part.length;
    if (part.length > 0) kept.push(part);
  });
  return () => ({ text: new TextDecoder().decode(Buffer.concat(kept), { stream: truncated }), truncated });
}
