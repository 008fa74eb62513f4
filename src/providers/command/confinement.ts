import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { makeFolders, ownRootScript, ROOT_TOOLS, type RootTools, type VisiblePath } from './ownFiles.ts';

/** What this machine's kernel and tools keep a program from. */
export type ConfinementLimits = {
  /** Address space of each process, bytes. */
  memory: number | 'not_enforced';
  /** `none` = it has no network, not even loopback. */
  network: 'none' | 'not_enforced';
  /** `namespace` = nothing it starts can outlive it; `group` = unless it leaves its process group on purpose. */
  processes: 'namespace' | 'group';
  /** `own` = it sees its folder, itself, what programs need to run, and what the operator shows it; nothing else of this machine. */
  files: 'own' | 'not_enforced';
};

/**
 * `wrap`: programs and options that stand before the program's own path, each of which becomes the next. Of one call: `folder` has
 * its folders, `file` is the program.
 */
export type Confinement = { wrap: (call: Call) => Promise<readonly string[]>; limits: ConfinementLimits };
type Call = { folder: string; file: string };

const execute = promisify(execFile);
/** Where the tools may be. Never looked up in a `PATH`: that of a task would decide what runs. */
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
/** Long: what does not answer in time on a busy machine is not used until the worker starts anew. */
const PROBE_TIMEOUT_MS = 30_000;

/** Ends it with the worker: one that is killed cannot do that. */
const DIES_WITH_WORKER = ['setpriv', '--pdeathsig', 'KILL', '--'];
const limited = (memoryBytes: number): string[] => ['prlimit', `--as=${memoryBytes}`, '--core=0', '--'];
/** Hides the other processes of the machine too, whose environments hold secrets. */
const NAMESPACES = ['unshare', '--map-current-user', '--net', '--pid', '--fork', '--mount-proc', '--kill-child=KILL', '--'];
const OWN_FILES = ['--map-root-user', '--mount', '--net', '--pid', '--fork', '--kill-child=KILL', '--'];
const NO_NETWORK = ['unshare', '--map-current-user', '--net', '--'];

/**
 * Tries once what works here: tools may be missing, and containers often forbid namespaces.
 * @param visible what every program sees besides
 */
export async function probeConfinement(memoryBytes: number, visible: readonly VisiblePath[]): Promise<Confinement> {
  const wrapper: string[] = [];
  const takes = async ([tool = '', ...options]: readonly string[]): Promise<boolean> => {
    const file = await located(tool);
    if (file === undefined || !(await works([...wrapper, file, ...options]))) return false;
    wrapper.push(file, ...options);
    return true;
  };
  await takes(DIES_WITH_WORKER);
  const memory = (await takes(limited(memoryBytes))) ? memoryBytes : 'not_enforced';
  const wrap = await hidingFiles(wrapper, visible);
  if (wrap) return { wrap, limits: { memory, network: 'none', processes: 'namespace', files: 'own' } };
  const processes = (await takes(NAMESPACES)) ? 'namespace' : 'group';
  const network = processes === 'namespace' || (await takes(NO_NETWORK)) ? 'none' : 'not_enforced';
  return { wrap: () => Promise.resolve(wrapper), limits: { memory, network, processes, files: 'not_enforced' } };
}

/** How a program gets a root of its own; undefined where it cannot have one. */
async function hidingFiles(before: readonly string[], visible: readonly VisiblePath[]): Promise<Confinement['wrap'] | undefined> {
  const found = await Promise.all(ROOT_TOOLS.map(async (tool) => [tool, await located(tool)] as const));
  if (found.some(([, file]) => file === undefined)) return undefined;
  const tools = Object.fromEntries(found) as RootTools;
  const wrap = async (call: Call) => [
    ...[...before, tools.unshare, ...OWN_FILES],
    ...[tools.sh, '-c', await ownRootScript(tools, { ...call, visible }), 'tiu'],
  ];
  const folder = await mkdtemp(path.join(os.tmpdir(), 'tiu-command-'));
  try {
    await makeFolders(folder);
    const file = (await located('true')) ?? '';
    return (await works(await wrap({ folder, file }))) ? wrap : undefined;
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function located(tool: string): Promise<string | undefined> {
  for (const folder of FOLDERS) if (await canRun(`${folder}/${tool}`)) return `${folder}/${tool}`;
  return undefined;
}

/** Whether there is a file that this process may execute. */
export async function canRun(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

async function works(wrapper: readonly string[]): Promise<boolean> {
  const [file = '', ...args] = wrapper;
  try {
    await execute(file, [...args, (await located('true')) ?? 'true'], { env: {}, timeout: PROBE_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}
