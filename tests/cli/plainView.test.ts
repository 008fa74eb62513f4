import { expect, test } from '@jest/globals';
import { plainView } from '../../src/cli/plainView.ts';
import { settledTasks } from '../../src/cli/progress.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';

type Sketch = Pick<RunEvent, 'type'> & Partial<RunEvent>;

const WEIGHTS = new Map([
  ['list', 1],
  ['check', 10],
  ['publish', 10],
]);

/** The lines that a plain view prints for a log, and what it knows at the end. */
function shown(sketches: Sketch[], total = 3, percent = 0) {
  const lines: string[] = [];
  const view = plainView({ out: (text) => lines.push(text), total, title: 'a-run', weights: WEIGHTS, percent });
  sketches.forEach((sketch, index) => {
    view.event({ seq: index + 1, runId: 'r', at: new Date(Date.UTC(2026, 0, 1) + index * 500).toISOString(), ...sketch });
  });
  return { lines: lines.map((line) => line.trim()), progress: view.progress };
}

test('a run gives a line for its states and for the end of each task, with times', () => {
  const { lines } = shown([
    { type: 'run.accepted' },
    { type: 'run.started' },
    { type: 'task.started', task: 'list' },
    { type: 'task.completed', task: 'list' },
    { type: 'task.skipped', task: 'publish' },
    { type: 'run.completed' },
  ]);
  expect(lines).toEqual([
    '0 ms  run accepted',
    '500 ms  run started',
    '1.5 s  list completed in 500 ms  (1/3, 4 %)',
    '2.0 s  publish skipped  (2/3, 52 %)',
    '2.5 s  run completed',
  ]);
});

test('of many items a few lines, and every failed one', () => {
  const items = Array.from({ length: 100 }, (_, item): Sketch => ({
    type: item === 50 ? 'task.failed' : 'task.completed',
    task: 'check',
    item,
    ...(item === 50 && { data: { code: 'unsupported_language', message: 'No parser' } }),
  }));
  const { lines, progress } = shown([
    { type: 'task.started', task: 'check', data: { items: 100 } },
    ...items,
    { type: 'task.completed', task: 'check' },
  ]);
  expect(lines.map((line) => line.replace(/^\S+ \S+\s+/, ''))).toEqual([
    'check 25/100 items',
    'check 50/100 items',
    'check[50] failed: unsupported_language (No parser)',
    'check 75/100 items, 1 failed',
    'check completed in 50.5 s, 100 items, 1 failed  (1/3, 47 %)',
  ]);
  expect(progress.tasks.get('check')?.items).toMatchObject({ done: 100, failed: 1, running: 0 });
});

test('a failure names its code, a cancel its reason, a wait its time', () => {
  const { lines, progress } = shown([
    { type: 'task.waiting', task: 'pause', data: { until: '2026-01-01T00:00:05.000Z' } },
    { type: 'task.retrying', task: 'call', data: { code: 'http_status', message: '503' } },
    { type: 'command.cancel', data: { reason: 'enough', by: 'key:1' } },
    { type: 'run.failed', data: { code: 'http_status', message: 'task call failed' } },
  ]);
  expect(lines.map((line) => line.replace(/^\S+ \S+\s+/, ''))).toEqual([
    'pause waiting until 2026-01-01T00:00:05.000Z',
    'call retrying: http_status (503)',
    'cancel asked for: enough',
    'run failed: http_status (task call failed)',
  ]);
  expect(progress).toMatchObject({ status: 'failed', code: 'http_status' });
});

test('a task that runs again is not counted twice', () => {
  const { progress } = shown([
    { type: 'task.failed', task: 'call' },
    { type: 'task.started', task: 'call' },
    { type: 'task.completed', task: 'call' },
  ]);
  expect(settledTasks(progress)).toBe(1);
});

test('who joins late begins at the percentage the run has, and sees none that is lower', () => {
  const { lines } = shown([{ type: 'task.completed', task: 'list' }, { type: 'run.completed' }], 3, 60);
  expect(lines[0]).toMatch(/list completed {2}\(1\/3, 60 %\)$/);
});
