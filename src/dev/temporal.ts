import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './freePort.ts';
import type { Guard } from './guard.ts';
import { standingBack, stopProcess, type Stoppable } from './process.ts';

export type Temporal = Stoppable & { address: string; ui: string };

/** One default alone, history.transferProcessorMaxPollRPS, limits a chain of activities to 25 steps a second. */
export const DYNAMIC_CONFIG = {
  'system.enableActivityEagerExecution': true,
  'system.enableEagerWorkflowStart': true,
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  'limit.maxIDLength': 255,
  'history.transferProcessorMaxPollRPS': 2000,
};

const START_MS = 30_000;

/** Starts the development server on loopback with a file database. @throws Error with the end of its log */
export async function startTemporal(options: {
  binary: string;
  database: string;
  port?: number;
  uiPort?: number | false;
  /** Codec server that the UI asks, as a browser reaches it. */
  codecEndpoint?: string | undefined;
  dynamicConfig?: Record<string, unknown>;
  guard?: Guard;
}): Promise<Temporal> {
  const port = options.port ?? (await freePort());
  const uiPort = options.uiPort === false ? undefined : (options.uiPort ?? (await freePort()));
  const dynamic = { ...DYNAMIC_CONFIG, ...options.dynamicConfig };
  const ui = [
    ...['--ui-port', String(uiPort), '--ui-disable-news-fetch'],
    ...(options.codecEndpoint === undefined ? [] : ['--ui-codec-endpoint', options.codecEndpoint]),
  ];
  const served = await serveTemporal({
    ...options,
    port,
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--db-filename', options.database],
      ...(uiPort === undefined ? ['--headless'] : ui),
      ...['--log-level', 'error', '--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=full'],
      ...Object.entries(dynamic).flatMap(([name, value]) => ['--dynamic-config-value', `${name}=${JSON.stringify(value)}`]),
    ],
    env: { TEMPORAL_CLI_CHECK_UPDATES: 'false' },
  });
  return { ...served, ui: uiPort === undefined ? '' : `http://127.0.0.1:${uiPort}` };
}

/** Starts a Temporal server that will listen on `port` of loopback, and waits until it serves. @throws Error with the end of its log */
export async function serveTemporal(options: {
  binary: string;
  args: readonly string[];
  env: Record<string, string>;
  port: number;
  guard?: Guard;
}): Promise<Stoppable & { address: string }> {
  const child = spawn(...standingBack(options.binary, options.args, options.guard === undefined ? 'shared' : 'own'), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    detached: options.guard !== undefined,
  });
  options.guard?.adopt(child, 'SIGINT');
  let log = '';
  const ended = new AbortController();
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      log = (log + text.toString()).slice(-4000);
    });
  const end = () => {
    ended.abort();
  };
  const exited = once(child, 'exit').then(end, end);
  const address = `127.0.0.1:${options.port}`;
  const until = Date.now() + START_MS;
  while (!(await isServing(address))) {
    if (ended.signal.aborted || Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`Temporal did not come up:\n${log}`);
    }
    await sleep(25);
  }
  return { address, pid: child.pid ?? 0, exited, stop: () => stopProcess(child, 'SIGINT') };
}

/** gRPC health check (grpc.health.v1) with nothing but node:http2. */
function isServing(address: string): Promise<boolean> {
  return new Promise((done) => {
    const session = http2.connect(`http://${address}`);
    const end = (ok: boolean) => {
      session.destroy();
      done(ok);
    };
    session.on('error', () => {
      end(false);
    });
    const name = Buffer.from('temporal.api.workflowservice.v1.WorkflowService');
    const message = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let body = Buffer.alloc(0);
    stream.on('data', (part: Buffer) => {
      body = Buffer.concat([body, part]);
    });
    stream.on('error', () => {
      end(false);
    });
    stream.on('end', () => {
      end(body.length >= 7 && body[5] === 0x08 && body[6] === 1);
    });
    stream.setTimeout(1000, () => {
      end(false);
    });
    stream.end(Buffer.concat([frame, message]));
  });
}
