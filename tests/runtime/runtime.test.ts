import { expect, test } from '@jest/globals';
import { readConfig } from '../../src/runtime/config.ts';
import { createLifecycle } from '../../src/runtime/lifecycle.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';

function aLog() {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ name: 'test', level: 'info' }, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  return { log, lines };
}

test('a log line is one JSON object with fields, an event and a time', () => {
  const { log, lines } = aLog();
  log.info({ runId: 'r1', attempt: 2 }, 'task.retried');
  log.debug({}, 'not.shown');
  expect(lines).toEqual([
    expect.objectContaining({ name: 'test', runId: 'r1', attempt: 2, msg: 'task.retried', time: expect.stringMatching(/Z$/) }),
  ]);
});

test('secrets are not logged, at whatever depth they come', () => {
  const { log, lines } = aLog();
  log.info(
    {
      authorization: 'A',
      headers: { cookie: 'B' },
      request: { headers: { authorization: 'C' } },
      config: { DATABASE_URL: 'D', TIU_SMTP_URL: 'E', TIU_WEBHOOK_KEYS: 'F' },
    },
    'x',
  );
  expect(JSON.stringify(lines)).not.toMatch(/"[A-F]"/);
});

test('an error is logged with its class, code and cause', () => {
  const { log, lines } = aLog();
  log.error({ err: Object.assign(new TypeError('outer', { cause: new Error('inner') }), { code: 'E1' }) }, 'failed');
  expect(lines[0]?.err).toMatchObject({ type: 'TypeError', message: 'outer', code: 'E1', cause: { message: 'inner' } });
});

test('parts end in reverse order, once, and one that fails does not keep the others', async () => {
  const { log, lines } = aLog();
  const lifecycle = createLifecycle({ log });
  const ended: string[] = [];
  lifecycle.onStop('database', () => void ended.push('database'));
  lifecycle.onStop('broken', () => Promise.reject(new Error('no')));
  lifecycle.onStop('server', async () => {
    await Promise.resolve();
    ended.push('server');
  });
  expect(lifecycle.stopping.aborted).toBe(false);
  await Promise.all([lifecycle.stop('a'), lifecycle.stop('b')]);
  expect(lifecycle.stopping.aborted).toBe(true);
  expect(ended).toEqual(['server', 'database']);
  expect(lines.filter((line) => line.msg === 'stop.failed')).toEqual([expect.objectContaining({ part: 'broken' })]);
});

test('metrics have names and the help that goes with them', async () => {
  const registry = createRegistry({ worker: 'w' });
  createWorkerMetrics(registry).pokes.inc({ reason: 'command' });
  const text = await registry.metrics();
  expect(text).toContain('tiu_run_pokes_total{reason="command",worker="w"} 1');
  expect(text).toContain('# HELP tiu_reconciler_corrections_total');
  expect(text).toContain('process_resident_memory_bytes');
});

test('settings that are wrong are all named at once', () => {
  expect(() => readConfig({ TIU_PORT: '70000', TIU_LOG_LEVEL: 'loud' })).toThrow(/DATABASE_URL.*TIU_PORT.*TIU_LOG_LEVEL/);
  expect(readConfig({ DATABASE_URL: 'postgres://x', TIU_METRICS_PORT: '' }).TIU_METRICS_PORT).toBeUndefined();
});

test('a bound that would keep every program from starting is refused', () => {
  const memory = (bytes: number) => () => readConfig({ DATABASE_URL: 'postgres://x', TIU_COMMAND_MEMORY: String(bytes) });
  expect(memory(16 * 2 ** 20)).not.toThrow();
  expect(memory(16 * 2 ** 20 - 1)).toThrow('TIU_COMMAND_MEMORY');
});

test('ends of runs share a look for a minute at most, and somebody is always told', () => {
  const read = (settings: Record<string, string>) => readConfig({ DATABASE_URL: 'postgres://x', ...settings });
  expect(read({})).toMatchObject({ TIU_MAX_POKED: 60, TIU_CLOSED_DELAY: 25 });
  expect(read({ TIU_MAX_POKED: '1', TIU_CLOSED_DELAY: '0' })).toMatchObject({ TIU_MAX_POKED: 1, TIU_CLOSED_DELAY: 0 });
  expect(read({ TIU_CLOSED_DELAY: '60000' }).TIU_CLOSED_DELAY).toBe(60_000);
  expect(() => read({ TIU_MAX_POKED: '0', TIU_CLOSED_DELAY: '60001' })).toThrow(/TIU_MAX_POKED.*TIU_CLOSED_DELAY/);
});

test('a secret may have as many bytes as can be looked for, and no more', () => {
  const read = (bytes: number) => readConfig({ DATABASE_URL: 'postgres://x', TIU_MAX_SECRET: String(bytes) }).TIU_MAX_SECRET;
  expect(read(16_384)).toBe(16_384);
  expect(() => read(16_385)).toThrow(/TIU_MAX_SECRET/);
});
