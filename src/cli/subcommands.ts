import type { Command } from 'commander';
import type { Cli } from './cli.ts';

/** Prints a line. */
export type Say = (text: string) => void;

/** A command that is nothing without one of its own commands. */
export function withSubcommands(cli: Cli, command: Command, make: (cli: Cli, say: Say) => Command[]): Command {
  const say: Say = (text) => {
    cli.terminal.out(`${text}\n`);
  };
  for (const sub of make(cli, say)) {
    sub.exitOverride().configureOutput({ writeOut: cli.terminal.out, writeErr: cli.terminal.err });
    command.addCommand(sub);
  }
  return command;
}
