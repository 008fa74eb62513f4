import { isObject, type Json } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import type { Programs } from '../../providers/command/programs.ts';
import { createGate, type Gate } from '../gate.ts';
import type { Executor } from './executor.ts';

export type CommandDeps = {
  programs: Programs;
  /** At work at once; the time that others wait for a place counts as theirs. */
  maxCommands: number;
};

/** Of each output that a failure keeps, characters from its end. */
const EXCERPT = 2_048;

/** Runs an allowed program. The key goes along as TIU_EFFECT_KEY, so that a program can tell a repeated attempt. */
export function createCommand({ programs, maxCommands }: CommandDeps): Executor {
  const gate = createGate(maxCommands);
  return async (input, { key, signal }) => {
    signal.throwIfAborted();
    const program = text(input.program);
    const env = Object.entries(isObject(input.env) ? input.env : {}).map(([name, value]) => [name, text(value)] as const);
    const call = {
      ...{ program, args: [input.args ?? []].flat().map(text), stdin: text(input.stdin), signal },
      env: { TIU_EFFECT_KEY: key, ...Object.fromEntries(env) },
    };
    const { exitCode, killedBy, stdout, stderr, truncated, limits } = await inTurn(gate, signal, () => programs.run(call));
    if (exitCode === null || ![input.expectExit ?? [0]].flat().includes(exitCode))
      throw new Problem('command_failed', {
        detail: exitCode === null ? `${program} was ended by ${killedBy}` : `${program} ended with exit code ${exitCode}`,
        data: { exitCode, signal: killedBy, stdout: stdout.slice(-EXCERPT), stderr: stderr.slice(-EXCERPT), limits },
      });
    return { exitCode, stdout, stderr, truncated, limits };
  };
}

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** Waits for a place, but no longer than until the abort; what has begun answers to the abort itself. @throws the reason of the signal */
function inTurn<T>(gate: Gate, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', giveUp);
    void gate(async () => {
      signal.removeEventListener('abort', giveUp);
      if (!signal.aborted) await work().then(resolve, reject);
    });
  });
}
