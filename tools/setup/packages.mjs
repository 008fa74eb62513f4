// npm packages, exactly as the lockfile says, without any install script.
import fs from 'node:fs';
import path from 'node:path';
import { ROOT, readOr, run, say } from './ground.mjs';
import { env24 } from './node.mjs';

export function getPackages() {
  if (packagesAreThere()) return;
  say('packages: npm ci (about 20 s)');
  run('npm', ['ci', '--ignore-scripts', '--no-progress'], { env: env24() });
  return 'installed';
}

/** npm's own record of what is installed, against the lockfile: so a plain `npm install X` by hand counts too. */
function packagesAreThere() {
  const [want, have] = ['package-lock.json', 'node_modules/.package-lock.json'].map(
    (file) => JSON.parse(readOr(path.join(ROOT, file), '{"packages":{}}')).packages,
  );
  const mayLack = (entry) => entry.optional === true || entry.peer === true || entry.devOptional === true;
  const isThere = (at, entry) => have[at].integrity === entry.integrity && fs.existsSync(path.join(ROOT, at));
  return (
    Object.keys(have).length > 0 &&
    Object.entries(want).every(([at, entry]) => at === '' || (have[at] ? isThere(at, entry) : mayLack(entry)))
  );
}
