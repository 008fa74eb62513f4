import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { Json } from '../../../src/domain/json.ts';
import { anEngine, type Engine } from '../../support/anEngine.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await anEngine();
});
afterAll(() => engine.close());

async function outputOf(name: string, input: Json): Promise<Json | undefined> {
  const text = fs.readFileSync(path.join(import.meta.dirname, '../../../examples', name), 'utf8');
  const run = await engine.run(parse(text) as Json, input);
  expect(await engine.state(run)).toMatchObject({ status: 'completed' });
  return engine.output(run);
}

test('conditions.yaml: a member gets the discount, and nobody else', async () => {
  expect(await outputOf('conditions.yaml', { total: 120, member: true })).toEqual({ total: 120, discount: 12, due: 108 });
  expect(await outputOf('conditions.yaml', { total: 120, member: false })).toEqual({ total: 120, discount: 0, due: 120 });
});

test.each([
  ['high', 'Goes to on call'],
  ['medium', 'Goes to the team'],
  ['low', 'Goes to the archive'],
])('switch.yaml: %s', async (severity, expected) => {
  expect(await outputOf('switch.yaml', { severity })).toBe(expected);
});

test.each([
  [10, 'everybody'],
  [7, 'most'],
  [4, 'too few'],
])('quorum.yaml: a score of %d', async (score, verdict) => {
  expect(await outputOf('quorum.yaml', { score })).toBe(verdict);
});

test('strategy.yaml: the urgent begin first', async () => {
  expect(await outputOf('strategy.yaml', { total: 100 })).toEqual({ letter: 'thank you', price: 120 });
  expect(await outputOf('strategy.yaml', { total: 2_000 })).toEqual({ letter: 'we will call you', price: 2_400 });
});

test('map.yaml: adds up what can be added and names the rest', async () => {
  expect(await outputOf('map.yaml', { prices: ['12.50', '7', 'free', '3'] })).toEqual({
    sum: { total: 22.5, refused: ['free'] },
    grid: ['linux-22', 'macos-22', 'linux-24', 'macos-24'],
  });
});

test('errors.yaml: completes although something failed', async () => {
  expect(await outputOf('errors.yaml', { amount: -5 })).toEqual({ letter: 'sorry: cannot pay -5', log: 'nicety: completed' });
  expect(await outputOf('errors.yaml', { amount: 5 })).toEqual({ letter: 'paid', log: 'nicety: failed' });
});
