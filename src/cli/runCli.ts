import { CommanderError, Command } from 'commander';
import { ApiProblem, Unreachable } from '../client/apiProblem.ts';
import { createClient } from '../client/createClient.ts';
import type { Cli, Terminal } from './cli.ts';
import { auditCommand } from './commands/audit.ts';
import { bulkCommand } from './commands/bulk.ts';
import { cancelCommand } from './commands/cancel.ts';
import { checkCommand } from './commands/check.ts';
import { doctorCommand } from './commands/doctor.ts';
import { eventsCommand } from './commands/events.ts';
import { explainCommand } from './commands/explain.ts';
import { forkCommand } from './commands/fork.ts';
import { hooksCommand } from './commands/hooks.ts';
import { loginCommand } from './commands/login.ts';
import { logoutCommand } from './commands/logout.ts';
import { mailCommand } from './commands/mail.ts';
import { progressCommand } from './commands/progress.ts';
import { queueCommand } from './commands/queue.ts';
import { runCommand } from './commands/run.ts';
import { runsCommand } from './commands/runs.ts';
import { schedulesCommand } from './commands/schedules.ts';
import { secretCommand } from './commands/secret.ts';
import { upCommand } from './commands/up.ts';
import { watchCommand } from './commands/watch.ts';
import { whoamiCommand } from './commands/whoami.ts';
import { findConnection, findPlace, HOW_TO_START } from './connection.ts';
import { CliError, EXIT } from './exit.ts';
import { issueLines } from './issueLines.ts';

const COMMANDS = [
  upCommand,
  loginCommand,
  logoutCommand,
  whoamiCommand,
  runCommand,
  runsCommand,
  schedulesCommand,
  secretCommand,
  auditCommand,
  hooksCommand,
  watchCommand,
  cancelCommand,
  forkCommand,
  bulkCommand,
  eventsCommand,
  explainCommand,
  progressCommand,
  queueCommand,
  checkCommand,
  mailCommand,
  doctorCommand,
];

const EXIT_CODES = `
Exit codes:
  0  done
  1  the run failed, the definition has faults, or the service refused
  2  wrong usage
  3  the service cannot be reached

Address: --url, else TIU_URL, else the embedded stack of this folder, else where you signed in last.
Key: --token, else TIU_TOKEN, else what \`tiu login\` has kept for that address, else that of the embedded stack.`;

/** Runs one command line. Resolves to its exit code; never throws for what a user can cause. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    return report(error, terminal);
  }
}

function createProgram(terminal: Terminal): Command {
  const program = new Command('tiu').description('Runs workflows that survive crashes.').addHelpText('after', EXIT_CODES);
  program
    .option('--url <address>', 'address of the service')
    .option('--token <key>', 'API key')
    .showHelpAfterError('(tiu --help shows what there is)');
  const sources = () => ({ ...program.opts<{ url?: string; token?: string }>(), ...terminal });
  const connection = () => findConnection(sources());
  const cli: Cli = { terminal, place: () => findPlace(sources()).baseUrl, connection, connect: () => createClient(connection()) };
  for (const command of COMMANDS) program.addCommand(command(cli));
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeOut: terminal.out, writeErr: terminal.err });
  }
  return program;
}

function report(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof CliError) {
    if (error.message !== '') terminal.err(`tiu: ${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
    return error.exitCode;
  }
  if (error instanceof Unreachable) {
    terminal.err(`tiu: ${error.message}\n${HOW_TO_START} \`tiu doctor\` says more.\n`);
    return EXIT.unreachable;
  }
  if (error instanceof ApiProblem) {
    terminal.err(`tiu: ${error.message} (${error.code})\n${issueLines(error.issues, '').join('')}`);
    return EXIT.failed;
  }
  throw error;
}
