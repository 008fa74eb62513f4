import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { PostgresPlace } from '../../tools/setup.mjs';
import { freePort } from './freePort.ts';
import type { Guard } from './guard.ts';
import { stopProcess, type Stoppable } from './process.ts';

export type Postgres = Stoppable & { url: string; port: number };

/** Starts a cluster made by `makeCluster` on loopback. @throws Error with the end of the server's log */
export async function startPostgres(options: {
  place: PostgresPlace;
  passwordFile: string;
  port?: number;
  settings?: Record<string, string>;
  guard?: Guard;
}): Promise<Postgres> {
  const { native, data, user } = options.place;
  const port = options.port ?? (await freePort());
  const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: '200', ...options.settings };
  const child = spawn(
    `${native}/bin/postgres`,
    ['-D', data, '-p', String(port), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    {
      ...user,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' },
      detached: options.guard !== undefined,
    },
  );
  options.guard?.adopt(child, 'SIGINT');
  let log = '';
  await new Promise<void>((ready, failed) => {
    child.stderr.on('data', (text: Buffer) => {
      log = (log + text.toString()).slice(-4000);
      if (log.includes('ready to accept connections')) ready();
    });
    child.once('exit', (code) => {
      failed(new Error(`PostgreSQL ended with ${String(code)}:\n${log}`));
    });
    child.once('error', failed);
  });
  const password = fs.readFileSync(options.passwordFile, 'utf8');
  return {
    url: `postgres://tiu:${password}@127.0.0.1:${port}/postgres`,
    port,
    pid: child.pid ?? 0,
    exited: once(child, 'exit').then(() => undefined),
    stop: () => stopProcess(child, 'SIGINT'),
  };
}
