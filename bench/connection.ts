import { randomUUIDv7 } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export type Run = { id: string; status: string; counts: { total: number; open: number } & Record<string, number | undefined> };

/** A client of one API over loopback, cheaper and steadier to time than fetch. */
export type Connection = {
  /** @returns its id, once it is durably accepted */
  submit: (definition: object) => Promise<string>;
  /** The run when it has ended. @throws Error when it has not in time, or its tasks were not all done */
  finished: (id: string, timeoutMs?: number) => Promise<Run>;
  /** Waits until the run has this status, and throws for another that is final. */
  reaches: (id: string, status: string) => Promise<void>;
  get: (path: string) => Promise<unknown>;
  /** With an idempotency key of its own. */
  post: (path: string, body: object) => Promise<unknown>;
  close: () => void;
};

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);
const LONGEST_WAIT_S = 60;
const FINAL = new Set(['completed', 'failed', 'cancelled', 'timed_out', 'compensated']);

/** @throws Error for an address that is not on this machine */
export function connect(target: { url: string; token: string }): Connection {
  const { hostname, port } = new URL(target.url);
  if (!LOOPBACK.has(hostname)) throw new Error(`${hostname} is not on loopback: benchmarks do not leave this machine`);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 512, maxFreeSockets: 64 });
  const request = sender({ host: hostname, port, agent, token: target.token });
  const finished = async (id: string, timeoutMs = 120_000): Promise<Run> => {
    for (const until = performance.now() + timeoutMs; ;) {
      const seconds = Math.min(LONGEST_WAIT_S, Math.ceil((until - performance.now()) / 1000));
      if (seconds <= 0) throw Object.assign(new Error(`run ${id} had not ended after ${timeoutMs} ms`), { code: 'BENCH_TIMEOUT' });
      const run = (await request('GET', `/api/v1/runs/${id}`, {
        headers: { prefer: `wait=${seconds}` },
        timeoutMs: (seconds + 5) * 1000,
      })) as Run;
      if (run.status === 'completed' && run.counts.completed === run.counts.total) return run;
      if (FINAL.has(run.status)) throw new Error(`run ${id} ended as ${JSON.stringify(run)}`);
    }
  };
  const reaches = async (id: string, status: string): Promise<void> => {
    for (;;) {
      const run = (await request('GET', `/api/v1/runs/${id}`)) as Run;
      if (run.status === status) return;
      if (FINAL.has(run.status)) throw new Error(`run ${id} ended as ${run.status}`);
      await sleep(5);
    }
  };
  return {
    submit: async (definition) => {
      const runId = randomUUIDv7();
      const run = (await request('POST', '/api/v1/runs', { body: { definition, runId } })) as Run;
      return run.id;
    },
    finished,
    reaches,
    get: (path) => request('GET', path),
    post: (path, body) => request('POST', path, { body, headers: { 'idempotency-key': randomUUIDv7() } }),
    close: () => {
      agent.destroy();
    },
  };
}

type Options = { body?: unknown; headers?: Record<string, string>; timeoutMs?: number };

function sender({ token, ...to }: { host: string; port: string; agent: http.Agent; token: string }) {
  return (method: string, path: string, options: Options = {}) =>
    new Promise<unknown>((resolve, reject) => {
      const payload = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
      const headers = {
        authorization: `Bearer ${token}`,
        ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
        ...options.headers,
      };
      const sent = http.request({ ...to, method, path, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const status = answer.statusCode ?? 0;
          if (status < 300) resolve(text === '' ? undefined : JSON.parse(text));
          else reject(Object.assign(new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`), { status }));
        });
      });
      sent.setTimeout(options.timeoutMs ?? 120_000, () =>
        sent.destroy(Object.assign(new Error(`${method} ${path}: no answer in time`), { code: 'BENCH_TIMEOUT' })),
      );
      sent.on('error', reject);
      sent.end(payload);
    });
}
