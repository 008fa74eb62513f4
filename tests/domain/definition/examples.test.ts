import fs from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { definitionSchema } from '../../../src/domain/definition/definitionSchema.ts';
import { readDefinition } from '../../../src/domain/definition/read.schema.ts';
import { compile } from '../../../src/domain/plan/compile.ts';

const FOLDER = path.join(import.meta.dirname, '../../../examples');
const examples = fs.readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));
const published = new Ajv2020({ strict: false, logger: false, validateFormats: false }).compile(definitionSchema());

test.each(examples)('%s checks clean and compiles', (name) => {
  const read = readDefinition(fs.readFileSync(path.join(FOLDER, name), 'utf8'), 'yaml');
  expect(read.issues).toEqual([]);
  if ('definition' in read) expect(compile(read.definition).graph.names.length).toBeGreaterThan(0);
});

test.each(examples)('%s matches the published schema', (name) => {
  published(parse(fs.readFileSync(path.join(FOLDER, name), 'utf8')));
  expect(published.errors ?? []).toEqual([]);
});

test('each example begins with what it shows and how to run it', () => {
  for (const name of examples) {
    const text = fs.readFileSync(path.join(FOLDER, name), 'utf8');
    expect(text).toMatch(/^# .+\n(#.*\n)*# Shows: /);
    expect(text).toContain(`npx tiu run examples/${name}`);
  }
});

test('the published schema refuses what the reader refuses', () => {
  const around = (task: object): object => ({ dsl: 'tiu/1', name: 'probe', tasks: { t: task } });
  expect(published(around({ type: 'transform', with: { value: '${input}' } }))).toBe(true);
  expect(published(around({ type: 'transform', with: { valu: 1 } }))).toBe(false);
  expect(published(around({ type: 'wait', with: {} }))).toBe(false);
  expect(published(around({ type: 'nope' }))).toBe(false);
  expect(published({ ...around({ type: 'transform', with: { value: 1 } }), 'x-own': 1, more: 1 })).toBe(false);
});
