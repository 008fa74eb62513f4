import { randomUUIDv7 } from 'node:crypto';
import http from 'node:http';
import { definitionOf, diamond } from './definitions.ts';
import type { LoadReport } from './overload.ts';
import { quantile } from './spread.ts';

/** An open-loop client: submits at a rate whatever the answers are: `node bench/overloader.ts URL RATE SECONDS`, the token in BENCH_TOKEN. */
const [url = '', rate = '1', seconds = '1'] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1_000, maxFreeSockets: 1_000 });
const definition = definitionOf(diamond());
const TICK_MS = 10;
/** Requests that wait for a connection of this client: past it the client is the bottleneck, and sends no more. */
const MAX_PENDING = 2_000;

const report: LoadReport = { sent: 0, byStatus: {}, withoutRetryAfter: 0, p99: 0 };
const accepted: number[] = [];
let pending = 0;

function count(status: string): void {
  report.byStatus[status] = (report.byStatus[status] ?? 0) + 1;
  pending -= 1;
}

function submit(): void {
  const body = JSON.stringify({ definition, runId: randomUUIDv7() });
  const headers = {
    authorization: `Bearer ${process.env.BENCH_TOKEN ?? ''}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  const from = performance.now();
  pending += 1;
  report.sent += 1;
  const request = http.request({ host: hostname, port, method: 'POST', path: '/api/v1/runs', agent, headers }, (answer) => {
    answer.resume().on('end', () => {
      const { statusCode = 0 } = answer;
      if (statusCode === 202) accepted.push(performance.now() - from);
      else if (answer.headers['retry-after'] === undefined) report.withoutRetryAfter += 1;
      count(String(statusCode));
    });
  });
  request.on('error', (error: NodeJS.ErrnoException) => {
    count(error.code ?? 'error');
  });
  request.end(body);
}

const started = performance.now();
const timer = setInterval(() => {
  const elapsed = (performance.now() - started) / 1000;
  if (elapsed < Number(seconds)) {
    const due = Math.floor(elapsed * Number(rate)) - report.sent;
    for (let i = 0; i < due && pending < MAX_PENDING; i++) submit();
    return;
  }
  if (pending > 0 && elapsed < Number(seconds) + 30) return;
  clearInterval(timer);
  report.p99 = quantile(accepted, 0.99);
  process.send?.(report, () => process.exit(0));
}, TICK_MS);
