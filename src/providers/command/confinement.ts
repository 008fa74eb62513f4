import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

/** What this machine's kernel and tools keep a program from. */
export type ConfinementLimits = {
  /** Address space of each process, bytes. */
  memory: number | 'not_enforced';
  /** `none` = it has no network, not even loopback. */
  network: 'none' | 'not_enforced';
  /** `namespace` = nothing it starts can outlive it; `group` = unless it leaves its process group on purpose. */
  processes: 'namespace' | 'group';
};

/** `wrapper`: programs and options that stand before the program's own path, each of which becomes the next. */
export type Confinement = { wrapper: readonly string[]; limits: ConfinementLimits };

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
const NO_NETWORK = ['unshare', '--map-current-user', '--net', '--'];

/** Tries once what works here: tools may be missing, and containers often forbid namespaces. */
export async function probeConfinement(memoryBytes: number): Promise<Confinement> {
  const wrapper: string[] = [];
  const takes = async ([tool = '', ...options]: readonly string[]): Promise<boolean> => {
    const file = await located(tool);
    if (file === undefined || !(await works([...wrapper, file, ...options]))) return false;
    wrapper.push(file, ...options);
    return true;
  };
  await takes(DIES_WITH_WORKER);
  const memory = (await takes(limited(memoryBytes))) ? memoryBytes : 'not_enforced';
  const processes = (await takes(NAMESPACES)) ? 'namespace' : 'group';
  const network = processes === 'namespace' || (await takes(NO_NETWORK)) ? 'none' : 'not_enforced';
  return { wrapper, limits: { memory, network, processes } };
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
