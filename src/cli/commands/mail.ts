import fs from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { findState } from '../connection.ts';
import { CliError, EXIT } from '../exit.ts';
import { withSubcommands, type Say } from '../subcommands.ts';
import { wholeNumber } from '../wholeNumber.ts';
import { readMail } from '../readMail.ts';

/** `tiu mail …`: what the embedded stack would have sent. Without a mail server its mails are files of its folder. */
export const mailCommand = (cli: Cli): Command =>
  withSubcommands(cli, new Command('mail').description('mails that the embedded stack has written instead of sending them'), (...given) => [
    list(...given),
    show(...given),
  ]);

const list = (cli: Cli, say: Say): Command =>
  new Command('list')
    .description('mails, the newest first')
    .option('--limit <count>', 'how many', wholeNumber, 20)
    .action(({ limit }: { limit: number }) => {
      const names = namesIn(folderOf(cli)).slice(0, limit);
      if (names.length === 0) say('no mails');
      names.forEach((name, at) => {
        const { to, subject, date } = readMail(fs.readFileSync(path.join(folderOf(cli), name), 'utf8'));
        say(`${at + 1}  ${date}  ${to}  ${subject}`);
      });
    });

const show = (cli: Cli, say: Say): Command =>
  new Command('show')
    .description('one mail as its reader sees it')
    .argument('[number]', 'its number in the list; 1 is the newest', wholeNumber, 1)
    .action((number: number) => {
      const name = namesIn(folderOf(cli))[number - 1];
      if (name === undefined) throw new CliError(EXIT.usage, `there is no mail ${number}`);
      const { from, to, subject, date, text } = readMail(fs.readFileSync(path.join(folderOf(cli), name), 'utf8'));
      say(`From: ${from}\nTo: ${to}\nSubject: ${subject}\nDate: ${date}\n\n${text.trimEnd()}`);
    });

function folderOf({ terminal }: Cli): string {
  const state = findState(terminal);
  if (state === undefined) throw new CliError(EXIT.usage, 'there is no embedded stack here');
  return terminal.env.TIU_MAIL_OUTBOX ?? path.join(state, 'outbox');
}

/** Their names begin with their time. */
const namesIn = (folder: string): string[] =>
  fs.existsSync(folder)
    ? fs
        .readdirSync(folder)
        .filter((name) => name.endsWith('.eml'))
        .sort()
        .reverse()
    : [];
