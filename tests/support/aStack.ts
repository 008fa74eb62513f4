import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureOwner } from '../../src/db/repositories/owner.ts';
import { freePort } from '../../src/dev/freePort.ts';
import { createGuard, type Guard } from '../../src/dev/guard.ts';
import { startService, type Service } from '../../src/dev/service.ts';
import { aDatabase, type TestDatabase } from './aDatabase.ts';

/** An api or a worker as a process of its own. */
type TestProcess = {
  readonly pid: number;
  /** Ends it at once with SIGKILL, unless told otherwise, and waits until it has ended. */
  kill: (signal?: NodeJS.Signals) => Promise<void>;
  /** Starts it again, with the same settings and the same port. Resolves when it is ready. */
  restart: () => Promise<void>;
};
export type TestStack = {
  /** Address of the first api. */
  url: string;
  urls: string[];
  /** API key with every scope in `workspace`. */
  key: string;
  workspace: string;
  base: TestDatabase;
  taskQueue: string;
  /** Objects, and logs of its processes. */
  folder: string;
  /** Settings of its processes, for the next start of one. */
  env: Record<string, string | undefined>;
  apis: TestProcess[];
  workers: TestProcess[];
  stop: () => Promise<void>;
};
export type TestStackOptions = { apis?: number; workers?: number; env?: Record<string, string> };

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Api and worker processes against a database and a task queue of their own, on the servers that all suites share. */
export async function aStack(options: TestStackOptions = {}): Promise<TestStack> {
  const base = await aDatabase();
  const db = await base.open('tiu_engine', 1);
  const { workspace, key } = await ensureOwner(db, { workspaceName: 'own' });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-stack-'));
  const guard = createGuard();
  const taskQueue = path.basename(base.url);
  const env: Record<string, string | undefined> = {
    ...process.env,
    DATABASE_URL: base.url,
    TEMPORAL_ADDRESS: process.env.TIU_TEST_TEMPORAL_ADDRESS,
    TIU_TASK_QUEUE: taskQueue,
    TIU_OBJECTS: path.join(folder, 'objects'),
    ...options.env,
  };
  const started: TestProcess[] = [];
  const start = async (role: 'api' | 'worker', index: number) => {
    const settings = role === 'api' ? { ...env, TIU_PORT: String(await freePort()) } : env;
    const opened = await aProcess({ role, env: settings, logFile: path.join(folder, `${role}-${index}.log`), guard });
    started.push(opened.process);
    return opened;
  };
  const all = async (role: 'api' | 'worker', count: number) => Promise.all(Array.from({ length: count }, (_, index) => start(role, index)));
  const [apis, workers] = await Promise.all([all('api', options.apis ?? 1), all('worker', options.workers ?? 1)]);
  const urls = apis.map((api) => api.url);
  return {
    ...{ url: urls[0] ?? '', urls, key, workspace, base, taskQueue, folder, env },
    apis: apis.map((api) => api.process),
    workers: workers.map((worker) => worker.process),
    stop: async () => {
      await Promise.all(started.map((part) => part.kill('SIGTERM')));
      guard.close();
      await base.drop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

type Opening = { role: 'api' | 'worker'; env: Record<string, string | undefined>; logFile: string; guard: Guard };

async function aProcess({ role, ...options }: Opening): Promise<{ url: string; process: TestProcess }> {
  const open = (): Promise<Service> => startService({ script: path.join(ROOT, `src/${role}/main.ts`), ...options });
  let service = await open();
  return {
    url: service.line.url ?? '',
    process: {
      get pid() {
        return service.pid;
      },
      kill: async (signal = 'SIGKILL') => {
        try {
          process.kill(service.pid, signal);
        } catch {
          // it has ended before
        }
        await service.exited;
      },
      restart: async () => {
        service = await open();
      },
    },
  };
}
