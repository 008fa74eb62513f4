import { lstat, mkdir, readlink, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

/** Further files and folders that programs see. */
export type VisiblePath = { path: string; writable: boolean };

/** The tools that build a root for a program, by where they are. */
export type RootTools = { [tool in (typeof ROOT_TOOLS)[number]]: string };
export const ROOT_TOOLS = ['sh', 'mount', 'umount', 'mkdir', 'ln', 'pivot_root', 'setpriv', 'unshare'] as const;

/** What programs need to run: those of the system with their libraries, and what names them. No secret of the installation belongs there. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
const SETTINGS = [
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'alternatives',
  'localtime',
  'ssl/certs',
  'ssl/openssl.cnf',
  'ca-certificates',
  'passwd',
  'group',
  'nsswitch.conf',
];
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom'];

/** Where a program finds its working folder. */
const WORK = '/workdir';

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * A script that makes a root of its own for a program, enters it and becomes the program ("$@"): in it are the folders `work` and `tmp` of
 * `folder`, what programs need to run, all of it read-only, and what else is to be seen. Runs as root of new user, mount and process namespaces.
 */
export async function ownRootScript(
  tools: RootTools,
  given: { folder: string; file: string; visible: readonly VisiblePath[] },
): Promise<string> {
  const root = path.join(given.folder, 'root');
  const settings = SETTINGS.map((name) => ({ path: `/etc/${name}`, writable: false }));
  const devices = DEVICES.map((name) => ({ path: `/dev/${name}`, writable: true }));
  const programs = [...SYSTEM, given.file].map((at) => ({ path: at, writable: false }));
  const mine = (name: string, target: string): Shown => ({ source: path.join(given.folder, name), target, isFile: false, writable: true });
  const found = await Promise.all([...programs, ...settings, ...devices, ...given.visible].map(shownAt));
  const all = [mine('work', WORK), mine('tmp', '/tmp'), ...found.flat()];
  const bound = all.filter((one): one is Shown => 'isFile' in one);
  const at = (target: string): string => quoted(root + target);
  const folders = [...bound.map(({ target, isFile }) => (isFile ? path.dirname(target) : target)), '/proc', '/.old'];
  return [
    'set -e',
    `${tools.mount} -t tmpfs -o size=1m,mode=755 tmpfs ${quoted(root)}`,
    `${tools.mkdir} -p ${[...new Set(folders)].map(at).join(' ')}`,
    ...all.filter((one) => !('isFile' in one)).map(({ source, target }) => `${tools.ln} -s ${quoted(source)} ${at(target)}`),
    ...bound.flatMap((one) => placed(tools, one, at)),
    `${tools.mount} -t proc proc ${at('/proc')}`,
    `cd ${quoted(root)}`,
    `${tools.pivot_root} . .old`,
    `cd ${WORK}`,
    `${tools.umount} -l /.old`,
    `${tools.mount} -o remount,bind,ro /`,
    `exec ${becoming(tools)} "$@"`,
  ].join('\n');
}

/** What lies in another folder that is bound has its place there: it is made once that is. */
function placed(tools: RootTools, { source, target, isFile, writable }: Shown, at: (target: string) => string): string[] {
  const folder = at(isFile ? path.dirname(target) : target);
  const make = [`[ -d ${folder} ] || ${tools.mkdir} -p ${folder}`, ...(isFile ? [`: >> ${at(target)}`] : [])];
  return [...make, `${tools.mount} --rbind ${writable ? '' : '-o ro '}${quoted(source)} ${at(target)}`];
}

/** Root of the namespaces is not root in what it becomes, unless the worker is; and never may it change what it sees. */
function becoming({ setpriv, unshare }: RootTools): string {
  const [user = 0, group = 0] = [process.getuid?.(), process.getgid?.()];
  const bare = `${setpriv} --bounding-set -all --inh-caps -all --no-new-privs --`;
  return user === 0 ? bare : `${unshare} --map-user=${user} --map-group=${group} -- ${setpriv} --no-new-privs --`;
}

/** Makes the folders in which a program works: of those none is its root. */
export async function makeFolders(folder: string): Promise<void> {
  await Promise.all(['root', 'work', 'tmp'].map((name) => mkdir(path.join(folder, name))));
}

type Link = { source: string; target: string };
type Shown = Link & { isFile: boolean; writable: boolean };

/** Nothing for what is not there, or is seen with the system; a link of the system stays one. */
async function shownAt({ path: target, writable }: VisiblePath): Promise<(Link | Shown)[]> {
  const found = await lstat(target).catch(() => undefined);
  if (!found || SYSTEM.some((folder) => target.startsWith(`${folder}/`))) return [];
  if (found.isSymbolicLink() && SYSTEM.includes(target)) return [{ source: await readlink(target), target }];
  const source = await realpath(target);
  return [{ source, target, isFile: !(await stat(source)).isDirectory(), writable }];
}
