import { isObject, type Json } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import type { Programs } from '../../providers/command/programs.ts';
import type { Executor } from './executor.ts';

export type CommandDeps = { programs: Programs };

/** Of each output that a failure keeps, characters from its end. */
const EXCERPT = 2_048;

/** Runs an allowed program. The key goes along as TIU_EFFECT_KEY, so that a program can tell a repeated attempt. */
export function createCommand({ programs }: CommandDeps): Executor {
  return async (input, { key, signal }) => {
    signal.throwIfAborted();
    const program = text(input.program);
    const env = Object.entries(isObject(input.env) ? input.env : {}).map(([name, value]) => [name, text(value)] as const);
    const { exitCode, killedBy, stdout, stderr, truncated, limits } = await programs.run({
      ...{ program, args: [input.args ?? []].flat().map(text), stdin: text(input.stdin), signal },
      env: { TIU_EFFECT_KEY: key, ...Object.fromEntries(env) },
    });
    if (exitCode === null || ![input.expectExit ?? [0]].flat().includes(exitCode))
      throw new Problem('command_failed', {
        detail: exitCode === null ? `${program} was ended by ${killedBy}` : `${program} ended with exit code ${exitCode}`,
        data: { exitCode, signal: killedBy, stdout: stdout.slice(-EXCERPT), stderr: stderr.slice(-EXCERPT), limits },
      });
    return { exitCode, stdout, stderr, truncated, limits };
  };
}

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
