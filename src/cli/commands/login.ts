import os from 'node:os';
import { Command } from 'commander';
import { createClient } from '../../client/createClient.ts';
import { createSignIn, type Grant } from '../../client/signIn.ts';
import type { Cli } from '../cli.ts';
import { openCredentials, type Credential } from '../credentials.ts';
import { CliError, EXIT } from '../exit.ts';
import { sessionOf } from '../storedToken.ts';
import { whoLines } from '../whoLines.ts';

const API_KEY = 'tiu_';
/** What `slow_down` adds to the pause, ms (RFC 8628, 3.5). */
const SLOWER_MS = 5_000;

export const loginCommand = (cli: Cli): Command =>
  new Command('login')
    .description('sign in by a code that you confirm in a browser, here or elsewhere')
    .option('--key', 'keep the API key that standard input holds instead')
    .option('--name <device>', 'what the session is called in the list of sessions', os.hostname())
    .action(async ({ key, name }: { key?: true; name: string }) => {
      const baseUrl = cli.place();
      const credentials = openCredentials(cli.terminal.env);
      if (!credentials) throw new CliError(EXIT.usage, 'there is no folder to keep it in', 'Set HOME or XDG_CONFIG_HOME.');
      const credential = key ? await readKey(cli) : await askForSession(cli, { baseUrl, name });
      // one that the service does not take is not kept
      const token = credential.type === 'key' ? credential.key : credential.accessToken;
      const lines = whoLines(await createClient({ baseUrl, token }).auth.whoami(), baseUrl);
      await credentials.change(baseUrl, () => Promise.resolve(credential));
      cli.terminal.out(`${lines.join('\n')}\n`);
    });

async function readKey({ terminal }: Cli): Promise<Credential> {
  const key = (await terminal.read()).trim();
  if (key.startsWith(API_KEY) && !/\s/.test(key)) return { type: 'key', key };
  throw new CliError(EXIT.usage, 'standard input holds no API key', `It begins with ${API_KEY}.`);
}

async function askForSession(cli: Cli, { baseUrl, name }: { baseUrl: string; name: string }): Promise<Credential> {
  const signIn = createSignIn({ baseUrl });
  const asked = await signIn.askDevice(name);
  cli.terminal.err(`Open ${asked.verificationUri} and type the code ${asked.userCode}\nor open ${asked.verificationUriComplete}\n`);
  let pauseMs = asked.interval * 1_000;
  for (;;) {
    await pause(cli, pauseMs);
    const now = Date.now();
    const polled: Grant | { pending: true; slower: boolean } = await signIn.pollDevice(asked.deviceCode);
    if (!('pending' in polled)) return sessionOf(polled, now);
    if (polled.slower) pauseMs += SLOWER_MS;
  }
}

async function pause({ terminal }: Cli, ms: number): Promise<void> {
  try {
    await terminal.pause(ms);
  } catch (error) {
    if (!terminal.signal.aborted) throw error;
  }
  if (terminal.signal.aborted) throw new CliError(EXIT.failed, 'not signed in: interrupted');
}
