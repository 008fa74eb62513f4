// Writes the documents that are made from the code; with --check says which of them are out of date instead.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { definitionSchema } from '../src/domain/definition/definitionSchema.ts';
import { clientTypes } from './clientTypes.mjs';
import { accessPage } from '../src/domain/access/accessPage.ts';
import { kindsPage } from '../src/domain/kinds/kindsPage.ts';

/** Each row: the file, and what it must hold. A row belongs to the source file that it is made from. */
const DOCUMENTS = [
  { file: 'docs/kinds.md', make: kindsPage },
  { file: 'docs/access.md', make: accessPage },
  { file: 'docs/definition.schema.json', make: () => `${JSON.stringify(definitionSchema(), null, 2)}\n` },
  {
    file: 'docs/openapi.json',
    make: () => execFileSync(process.execPath, ['src/api/openapiMain.ts'], { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 }),
  },
  { file: 'src/client/types.gen.ts', make: async () => clientTypes(JSON.parse(fs.readFileSync('docs/openapi.json', 'utf8'))) },
];

const stale = [];
for (const { file, make } of DOCUMENTS) {
  const text = await make();
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) continue;
  stale.push(file);
  if (process.argv.includes('--check')) continue;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  process.stdout.write(`${file} written\n`);
}
if (process.argv.includes('--check') && stale.length > 0) {
  process.stdout.write(`out of date: ${stale.join(', ')}; run npm run generate\n`);
  process.exitCode = 1;
}
