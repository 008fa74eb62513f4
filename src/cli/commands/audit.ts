import fs from 'node:fs';
import { Command } from 'commander';
import type { AuditHead } from '../../client/audit.ts';
import type { Checkpoint } from '../../domain/audit/entry.ts';
import type { Verdict } from '../../domain/audit/verify.ts';
import type { Cli } from '../cli.ts';
import { CliError, EXIT } from '../exit.ts';
import { withSubcommands, type Say } from '../subcommands.ts';
import { verifyExport, type PublicKey } from '../verifyExport.ts';

/** `tiu audit …` */
export const auditCommand = (cli: Cli): Command =>
  withSubcommands(cli, new Command('audit').description('who did what, and whether the record of it is as it was written'), (...given) => [
    verify(...given),
    checkpoint(...given),
  ]);

const checkpoint = (cli: Cli, say: Say): Command =>
  new Command('checkpoint').description('print the signed end of the audit and its public keys, to be kept apart').action(async () => {
    say(JSON.stringify(await cli.connect().audit.checkpoint(), null, 2));
  });

const verify = (cli: Cli, say: Say): Command =>
  new Command('verify')
    .description('read the whole audit and say whether anything was changed, taken away, moved or put in between')
    .option('--checkpoint <file>', 'what `tiu audit checkpoint` printed before; its keys count, not those of the service')
    .option('--json', 'as JSON')
    .action(async ({ checkpoint: file, json }: { checkpoint?: string; json?: true }) => {
      const kept = file === undefined ? undefined : readKept(file);
      const verdict = await verifyExport(cli.connect().audit.lines(), kept);
      say(json ? JSON.stringify(verdict) : sentence(verdict));
      if (verdict.fault !== null) throw new CliError(EXIT.failed, 'the audit does not hold');
    });

/** @throws CliError (usage) */
function readKept(file: string): { checkpoint: Checkpoint; keys: PublicKey[] } {
  try {
    const { head, keys } = JSON.parse(fs.readFileSync(file, 'utf8')) as AuditHead;
    if (typeof head.seq !== 'number' || !Array.isArray(keys)) throw new Error('it holds no checkpoint');
    return { checkpoint: head, keys };
  } catch (error) {
    throw new CliError(EXIT.usage, `${file}: ${(error as Error).message}`, 'Make one with `tiu audit checkpoint > FILE`.');
  }
}

const sentence = ({ entries, from, through, fault, signed }: Verdict): string => {
  const of = `entries ${from} to ${through}`;
  if (fault !== null) return `${of}: entry ${fault.seq}: ${fault.reason}`;
  return `${of}: all ${entries} are as they were written${signed ? '' : '; nothing is signed, so whoever owns the database may have made them anew'}`;
};
