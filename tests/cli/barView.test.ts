import { expect, test } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { barView } from '../../src/cli/barView.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';

const WEIGHTS = new Map([
  ['check', 10],
  ['publish', 10],
]);

test('a terminal shows a bar, what has ended above it, and leaves the last picture standing', () => {
  const screen = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: true, columns: 100 });
  const view = barView({ out: () => undefined, total: 2, title: 'a-run', weights: WEIGHTS, percent: 0 }, screen);
  const log: Partial<RunEvent>[] = [
    { type: 'run.accepted' },
    { type: 'run.started' },
    { type: 'task.started', task: 'check', data: { items: 2 } },
    { type: 'task.completed', task: 'check', item: 0 },
    { type: 'task.failed', task: 'check', item: 1, data: { code: 'unsupported_language', message: '' } },
    { type: 'task.completed', task: 'check' },
    { type: 'task.skipped', task: 'publish' },
    { type: 'run.completed' },
  ];
  log.forEach((event, index) => {
    view.event({ type: 'run.started', seq: index + 1, at: '2026-01-01T00:00:00.000Z', runId: 'r', ...event });
  });
  view.end();
  const shown = String(screen.read());
  expect(shown).toContain('check[1] failed: unsupported_language\n');
  expect(shown).toContain('check completed, 2 items, 1 failed  (1/2, 50 %)\n');
  expect(shown).toMatch(/a-run █+ 100 % · 2\/2 tasks · completed · \S+\s*$/m);
});

test('a lost connection shows', () => {
  const screen = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: true, columns: 100 });
  const view = barView({ out: () => undefined, total: 2, title: 'a-run', weights: WEIGHTS, percent: 0 }, screen);
  view.connection('lost');
  view.end();
  expect(String(screen.read())).toContain('connection lost, trying again');
});
