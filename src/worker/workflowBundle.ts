import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export type BundleSource = {
  /** The module that exports the workflows. */
  workflowsPath: string;
  /** Folders whose every file goes into the bundle's name. */
  folders: readonly string[];
  /** A module whose failure converter goes in as well. */
  failureConverterPath?: string | undefined;
  /** Where bundles are kept. */
  cache: string;
};

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const OLD_MS = 7 * 86_400_000;

/** @param failureConverterPath as the worker's data converter has it */
export const ownWorkflows = (failureConverterPath?: string): BundleSource => ({
  failureConverterPath,
  workflowsPath: path.join(ROOT, 'src/workflows/index.ts'),
  folders: [path.join(ROOT, 'src/workflows'), path.join(ROOT, 'src/domain')],
  cache: path.join(ROOT, '.tiu'),
});

/**
 * File of the bundle of workflow code, named by the hash of its sources and of the SDK; made when missing, in a process
 * of its own because the bundler takes 130 MB. @throws Error with the bundler's words
 */
export async function workflowBundle(source: BundleSource = ownWorkflows()): Promise<string> {
  const file = path.join(source.cache, `workflow-bundle-${hashOf(source)}.js`);
  if (fs.existsSync(file)) return file;
  fs.mkdirSync(source.cache, { recursive: true });
  const script = fileURLToPath(new URL('./bundle.ts', import.meta.url));
  const more = source.failureConverterPath === undefined ? [] : [source.failureConverterPath];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, source.workflowsPath, file, ...more], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (text: Buffer) => {
    words = (words + text.toString()).slice(-4000);
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`the workflow code cannot be bundled:\n${words}`);
  removeOld(source.cache, file);
  return file;
}

function hashOf(source: BundleSource): string {
  const hash = createHash('sha256');
  const sdk = createRequire(import.meta.url)('@temporalio/worker/package.json') as { version: string };
  hash.update(`${sdk.version}\n${source.workflowsPath}\n${source.failureConverterPath ?? ''}\n`);
  for (const folder of source.folders)
    for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
      const file = path.join(folder, name);
      if (!fs.statSync(file).isFile()) continue;
      hash.update(`${name}\n`).update(fs.readFileSync(file)).update('\n');
    }
  return hash.digest('hex').slice(0, 16);
}

/** Bundles of earlier sources, unless young: another worker may be about to read one. */
function removeOld(cache: string, current: string): void {
  for (const name of fs.readdirSync(cache)) {
    const file = path.join(cache, name);
    if (!/^workflow-bundle-[0-9a-f]{16}\.js$/.test(name) || file === current) continue;
    if (Date.now() - fs.statSync(file).mtimeMs > OLD_MS) fs.rmSync(file, { force: true });
  }
}
