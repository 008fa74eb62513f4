import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { anEngine, type Engine } from '../support/anEngine.ts';

const CANARY = 'canary-in-a-field';
let engine: Engine;
beforeAll(async () => {
  engine = await anEngine();
});
afterAll(() => engine.close());

const input = { schema: { type: 'object', properties: { password: { type: 'string', 'x-secret': true } } } };
const define = (tasks: JsonObject, more: JsonObject = {}): Json => ({ dsl: 'tiu/1', name: 'test', input, tasks, ...more });

test('the engine computes with what is marked', async () => {
  const tasks = { size: { type: 'transform', with: { value: '${size(input.password)}' } } };
  const run = await engine.run(define(tasks, { output: { value: '${tasks.size.output}' } }), { password: CANARY });
  expect(await engine.output(run)).toBe(CANARY.length);
});

test('what a failed assertion says of a marked place is told to nobody, what it says of others is', async () => {
  const check = (message: string) => ({ type: 'assert', onError: 'continue', with: { that: 'false', message } });
  const tasks = { hides: check('not ${input.password}'), tells: check('not today') };
  const run = await engine.run(define(tasks), { password: CANARY });
  const events = await engine.events(run);
  expect(JSON.stringify(events)).not.toContain(CANARY);
  const failed = events.filter(({ type }) => type === 'task.failed').map(({ data }) => (data as JsonObject).message);
  expect(failed.sort()).toEqual(['The assertion does not hold', 'not today']);
});
