// Node 24: the one that runs this, else the platform package of tools/node.
import fs from 'node:fs';
import path from 'node:path';
import { ROOT, atLeast, fail, run, say } from './ground.mjs';

const HOME = path.join(ROOT, 'tools/node');
const MINIMUM = [24, 21];

/** Folder of a Node that is new enough; the file may not be there yet. */
function nodeFolder() {
  if (atLeast(process.versions.node.split('.').map(Number), MINIMUM)) return path.dirname(process.execPath);
  return path.join(HOME, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin');
}

export function getNode() {
  const file = path.join(nodeFolder(), 'node');
  if (fs.existsSync(file)) return;
  say(`Node: this is ${process.version}, getting ${MINIMUM.join('.')} (about 7 s)`);
  run('npm', ['ci'], { cwd: HOME });
  if (!fs.existsSync(file))
    fail(
      `Node ${MINIMUM.join('.')} or newer is needed. This is ${process.version}, and there is no npm package of it ` +
        `for ${process.platform}-${process.arch}: install Node 24 and run this again with it`,
    );
  return `${run(file, ['-v']).trim()} in tools/node`;
}

/** The environment in which `node`, `npm` and the tools of this project run on Node 24. */
export const env24 = () => ({
  ...process.env,
  PATH: [nodeFolder(), path.join(ROOT, 'node_modules/.bin'), process.env.PATH].join(path.delimiter),
});
