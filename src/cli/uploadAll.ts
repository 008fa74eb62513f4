import path from 'node:path';
import type { Client } from '../client/createClient.ts';
import { count } from './count.ts';
import { CliError, EXIT } from './exit.ts';
import type { Inputs } from './readInputs.ts';
import { uploadPath } from './uploadPath.ts';

type Telling = { say: (text: string) => void; cwd: string };

/** Uploads what inputs name, and says so. @returns the sha256 of each, by field @throws CliError (usage) */
export async function uploadAll(client: Client, { uploads }: Inputs, { say, cwd }: Telling): Promise<Record<string, string>> {
  const uploaded: Record<string, string> = {};
  for (const { field, path: at } of uploads) {
    const { sha256, size, files } = await uploadPath(client, at);
    if (files === 0) throw new CliError(EXIT.usage, `--input ${field}: there are no files in ${at}`);
    say(
      `${field}: ${count(files, 'file')} of ${path.relative(cwd, at) || '.'}, ${Math.ceil(size / 1024)} KiB, as ${sha256.slice(0, 12)}\n`,
    );
    uploaded[field] = sha256;
  }
  return uploaded;
}
