import fs from 'node:fs';
import { expect, test } from '@jest/globals';
import { readDefinition } from '../../src/domain/definition/read.schema.ts';

const readme = fs.readFileSync('README.md', 'utf8');

test('the definition in the README has no fault', () => {
  const [, text = ''] = /```yaml\n([^`]+)```/.exec(readme) ?? [];
  expect(text).toContain('dsl: tiu/1');
  expect(readDefinition(text, 'yaml').issues).toEqual([]);
});

test('every command and file that the README names exists', () => {
  const { scripts } = JSON.parse(fs.readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  for (const [, run, name] of readme.matchAll(/npm (run )?([a-z]+)/g))
    if (name !== 'i' && name !== 'packages')
      expect([name, run !== undefined || ['start', 'test'].includes(name ?? '')]).toEqual([name, scripts[name ?? ''] !== undefined]);
  for (const [, file = ''] of readme.matchAll(/\]\(([^):]+)\)/g)) expect([file, fs.existsSync(file)]).toEqual([file, true]);
});
