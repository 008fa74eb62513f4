import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Problem } from '../../domain/problem.ts';
import { canRun, probeConfinement, type ConfinementLimits } from './confinement.ts';
import { makeFolders, type VisiblePath } from './ownFiles.ts';
import { superviseProcess, type Ended, type ProcessLimits } from './superviseProcess.ts';

export type ProgramSettings = ProcessLimits & {
  /** Path by name; nothing else may run. */
  allowed: ReadonlyMap<string, string>;
  /** Address space of each process, bytes. */
  memoryBytes: number;
  /** What every program sees besides its folder and what it needs to run, where files are hidden. */
  visible: readonly VisiblePath[];
};

type ProgramCall = { program: string; args: readonly string[]; stdin: string; env: Record<string, string>; signal: AbortSignal };

export type Programs = {
  /**
   * Runs a program to its end in a folder of its own, which is removed, as is everything that it has started.
   * @throws Problem command_not_allowed | command_not_started | command_output_too_large | invalid_task_input | the reason of the signal
   */
  run: (call: ProgramCall) => Promise<Ended & { limits: ConfinementLimits }>;
};

const PATH = '/usr/local/bin:/usr/bin:/bin';

/** Programs of this machine that the operator has allowed. What confines them is probed once, in the background. */
export function createPrograms(settings: ProgramSettings): Programs {
  const { allowed, memoryBytes, visible } = settings;
  const probed = allowed.size === 0 ? undefined : probeConfinement(memoryBytes, visible);
  return {
    run: async ({ program, args, stdin, env, signal }) => {
      const file = allowed.get(program);
      if (file === undefined || probed === undefined) throw notAllowed(program, allowed.size);
      // The loader obeys these before the program does, and so would what stands before it.
      const loader = Object.keys(env).find((name) => name.startsWith('LD_'));
      if (loader !== undefined) throw new Problem('invalid_task_input', { detail: `with.env: a task cannot set ${loader}` });
      if (!(await canRun(file)))
        throw new Problem('command_not_started', { detail: `${program} is not where the operator says, or cannot be run` });
      const { wrap, limits } = await probed;
      const folder = await mkdtemp(path.join(os.tmpdir(), 'tiu-command-'));
      try {
        await makeFolders(folder);
        const argv = [...(await wrap({ folder, file })), file, ...args];
        signal.throwIfAborted();
        const start = { argv, folder: path.join(folder, 'work'), stdin, env: { PATH, ...env }, signal };
        return { ...(await superviseProcess(start, settings)), limits };
      } finally {
        await rm(folder, { recursive: true, force: true, maxRetries: 3 });
      }
    },
  };
}

const notAllowed = (program: string, size: number): Problem =>
  new Problem('command_not_allowed', {
    detail:
      size === 0
        ? 'Programs are off: the operator has to allow them by TIU_COMMANDS on the worker'
        : `${program} is not among the programs that the operator allows`,
    data: { program, hint: 'TIU_COMMANDS holds name=/absolute/path, by commas' },
  });
