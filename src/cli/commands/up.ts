import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { CliError, EXIT } from '../exit.ts';

const STACK = path.resolve(import.meta.dirname, '../../dev/main.ts');

export const upCommand = (cli: Cli): Command =>
  new Command('up').description('start the embedded stack here and keep it up until Ctrl-C').action(async () => {
    const stack = spawn(process.execPath, [STACK], { stdio: 'inherit', cwd: cli.terminal.cwd });
    const stop = () => stack.kill('SIGTERM');
    cli.terminal.signal.addEventListener('abort', stop, { once: true });
    const [code] = (await once(stack, 'exit')) as [number | null];
    cli.terminal.signal.removeEventListener('abort', stop);
    if (code !== 0) throw new CliError(EXIT.failed, '');
  });
