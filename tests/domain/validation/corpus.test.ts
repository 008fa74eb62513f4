import fs from 'node:fs';
import { expect, test } from '@jest/globals';
import { checkSource, type SourceIssue } from '../../../src/domain/validation/checkSource.ts';
import type { Level } from '../../../src/domain/validation/rule.ts';
import type { Language } from '../../../src/domain/validation/syntaxNode.ts';
import { parseSource } from '../../../src/providers/syntax/syntaxTree.ts';

/** The corpus spells markers with a digit, so that they are not taken for work left to do here. */
const read = (name: string) =>
  fs
    .readFileSync(new URL(`../../fixtures/sources/${name}.txt`, import.meta.url), 'utf8')
    .replaceAll('T0DO', `TODO`)
    .replaceAll('F1XME', `FIXME`);
const check = (source: string, language: Language, level: Level): SourceIssue[] =>
  checkSource(parseSource(language, source), language, { level, declarations: false });

const LANGUAGES: [Language, string, number][] = [
  ['typescript', 'ts', 22],
  ['javascript', 'js', 13],
  ['python', 'py', 19],
];

/** Names of the stubs that findings stand on; a finding on any other line is under its line. */
function named(source: string, issues: SourceIssue[]): Set<string> {
  const lines = source.split('\n');
  return new Set(issues.map(({ line }) => /\bs\d\d\b/.exec(lines[line - 1] ?? '')?.[0] ?? `line ${line}`));
}

test.each(LANGUAGES)('%s: every stub of the corpus is found, and nothing beside them', (language, extension, count) => {
  const source = read(`stubs.${extension}`);
  const expected = new Set(source.match(/\bs\d\d\b/g));
  expect(expected.size).toBe(count);
  const found = named(
    source,
    check(source, language, 'normal').filter((issue) => issue.rule !== 'todo-comment'),
  );
  expect({ missed: [...expected].filter((name) => !found.has(name)), wrong: [...found].filter((name) => !expected.has(name)) }).toEqual({
    missed: [],
    wrong: [],
  });
});

test.each(LANGUAGES)('%s: nothing in the real code of the corpus is taken for a stub', (language, extension) => {
  expect(check(read(`real.${extension}`), language, 'normal')).toEqual([]);
});

test.each(LANGUAGES)('%s: the lenient level finds what says itself that it is unfinished, and no more', (language, extension) => {
  const source = read(`stubs.${extension}`);
  const lenient = check(source, language, 'lenient');
  expect(lenient.every(({ severity }) => severity === 'error')).toBe(true);
  expect(lenient.length).toBeGreaterThan(8);
  expect(check(read(`real.${extension}`), language, 'lenient')).toEqual([]);
});

test.each(LANGUAGES)('%s: each level finds what the one before it finds', (language, extension) => {
  const source = read(`stubs.${extension}`);
  const at = (level: Level) => named(source, check(source, language, level));
  const [lenient, normal, strict] = [at('lenient'), at('normal'), at('strict')];
  expect([...normal]).toEqual(expect.arrayContaining([...lenient]));
  expect([...strict]).toEqual(expect.arrayContaining([...normal]));
});

test('the sources of this product have no stub', () => {
  const root = new URL('../../../src/', import.meta.url);
  const files = fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const errors = files.flatMap((file) =>
    check(fs.readFileSync(new URL(file, root), 'utf8'), 'typescript', 'normal')
      .filter((i) => i.severity === 'error')
      .map((i) => ({ file, ...i })),
  );
  expect(errors).toEqual([]);
});
