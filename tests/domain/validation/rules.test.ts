import { expect, test } from '@jest/globals';
import { checkSource } from '../../../src/domain/validation/checkSource.ts';
import { languageOf } from '../../../src/domain/validation/languageOf.ts';
import { reportOf } from '../../../src/domain/validation/report.ts';
import type { Level, Severity } from '../../../src/domain/validation/rule.ts';
import { scoreOf } from '../../../src/domain/validation/score.ts';
import type { Language } from '../../../src/domain/validation/syntaxNode.ts';
import { isCredential } from '../../../src/domain/validation/words.ts';
import { parseSource } from '../../../src/providers/syntax/syntaxTree.ts';

const MARK = ['TO', 'DO'].join('');

function check(language: Language, source: string, level: Level = 'normal'): string[] {
  return checkSource(parseSource(language, source), language, { level, declarations: false }).map(
    (i) => `${i.line}:${i.column} ${i.rule} ${i.severity}`,
  );
}

const RULES: [name: string, language: Language, source: string, level: Level, expected: string[]][] = [
  ['an empty catch', 'typescript', 'try { a(); } catch {}', 'normal', ['1:14 empty-catch warning']],
  ['an empty catch with a reason', 'typescript', 'try { a(); } catch { /* gone already */ }', 'normal', []],
  ['the same, strictly', 'typescript', 'try { a(); } catch { /* gone already */ }', 'strict', ['1:14 empty-catch info']],
  ['an empty catch with a note', 'javascript', `try { a(); } catch (e) { /* ${MARK} handle */ }`, 'normal', ['1:14 empty-catch warning']],
  ['a broad except', 'python', 'try:\n  a()\nexcept Exception:\n  pass', 'normal', ['3:1 empty-catch warning']],
  ['a bare except', 'python', 'try:\n  a()\nexcept:\n  ...', 'normal', ['3:1 empty-catch warning']],
  ['a narrow except', 'python', 'try:\n  a()\nexcept KeyError:\n  pass', 'normal', []],
  ['a narrow except, strictly', 'python', 'try:\n  a()\nexcept KeyError:\n  pass', 'strict', ['3:1 empty-catch info']],
  [
    'a marker in a comment',
    'typescript',
    `// ${MARK}: later\n/* a\n * ${MARK} b */`,
    'normal',
    ['1:1 todo-comment warning', '2:1 todo-comment warning'],
  ],
  ['a marker with a ticket', 'javascript', `a(); // ${MARK}(#12): later`, 'normal', ['1:6 todo-comment info']],
  ['a marker in a comment, leniently', 'python', `# ${MARK} x`, 'lenient', []],
  ['a marker in the middle of prose', 'python', `# Reads the ${MARK} list of a user`, 'normal', []],
  ['a marker in a string', 'typescript', `const a = '// ${MARK}: x'; const b = \`${MARK}: y\``, 'strict', []],
  ['a loose marker, strictly', 'javascript', '// hack: x', 'strict', ['1:1 todo-comment warning']],
  [
    'a branch',
    'typescript',
    'function f(a) { switch (a) { case 1: return 2; default: throw new Error("not implemented"); } }',
    'normal',
    ['1:57 not-implemented warning'],
  ],
  [
    'a branch in Python',
    'python',
    'def f(a):\n  if a:\n    raise NotImplementedError("not implemented")\n  return 1',
    'normal',
    ['3:5 not-implemented warning'],
  ],
  [
    'an abstract method, strictly',
    'typescript',
    'abstract class A { f() { throw new Error("not implemented"); } }',
    'strict',
    ['1:20 not-implemented error'],
  ],
  ['filler text, strictly', 'tsx', 'const a = <p>Lorem ipsum dolor</p>;', 'strict', ['1:14 placeholder-text warning']],
  ['filler as a value, strictly', 'python', 'TITLE = "placeholder"', 'strict', ['1:9 placeholder-text warning']],
  [
    'the word as a key or argument, strictly',
    'typescript',
    'f("placeholder"); const a = { "placeholder": 1 }; if (b === "placeholder") c();',
    'strict',
    [],
  ],
  ['a no-op, strictly', 'typescript', 'const noop = () => {};', 'strict', ['1:14 empty-body info']],
  ['parameter properties, strictly', 'typescript', 'class A { constructor(private readonly a: string) {} }', 'strict', []],
  ['a function inside a stub', 'typescript', `function f() { // ${MARK}\n return []; }`, 'normal', ['1:1 placeholder-return error']],
];

test.each(RULES)('%s', (...[, language, source, level, expected]) => {
  expect(check(language, source, level)).toEqual(expected);
});

test.each<[Language, string, string]>([
  ['typescript', 'const a = (1;', '1:13 syntax-error error'],
  ['typescript', 'function f( { return 1; }\n', '1:11 syntax-error error'],
  ['javascript', 'let = = 3', '1:5 syntax-error error'],
  ['tsx', 'const a = <div><p></div>;', '1:17 syntax-error error'],
  ['python', 'def f(:\n  return 1', '1:7 syntax-error error'],
  ['python', 'a = [1, 2', '1:1 syntax-error error'],
])('%s: %j is a syntax error', (language, source, expected) => {
  expect(check(language, source, 'lenient').map((issue) => issue.split(' ')[1])).toContain(expected.split(' ')[1]);
});

test.each<[Language, string]>([
  ['typescript', ''],
  [
    'typescript',
    'export interface A<out T, in out U> { a: T }\nusing x = f();\nconst a = b satisfies C;\nclass D { accessor e = 1; #f?: string }',
  ],
  ['javascript', 'export { a as null };\nconst b = `x${`y${1}`}`;\nfor await (const c of d) c?.e ?? f;\nlabel: { break label; }'],
  ['tsx', 'const a = <><b c="" {...d}>{e}</b></>;'],
  ['python', 'match a:\n    case {"b": [*c]} if d: pass\ntype E[T] = list[T]\nf = f"{g!r:>{h}}"\nif (i := 1): pass\n'],
  ['python', ''],
])('%s: modern and empty sources have no syntax error: %#', (language, source) => {
  expect(check(language, source, 'lenient')).toEqual([]);
});

test('a source of another language has at most twenty syntax errors listed', () => {
  const issues = check('python', 'function f() { return `}`; }\n'.repeat(100), 'lenient');
  expect(issues.length).toBeGreaterThan(0);
  expect(issues.length).toBeLessThanOrEqual(20);
});

test('columns count UTF-16 units', () => {
  expect(check('typescript', `const a = '😀'; function f() {}`)).toEqual(['1:17 empty-body warning']);
});

test('declarations have no bodies to judge', () => {
  const source = `def f(a: int) -> str: ...\n# ${MARK}: x\n`;
  const issues = checkSource(parseSource('python', source), 'python', { level: 'normal', declarations: true });
  expect(issues.map((issue) => issue.rule)).toEqual(['todo-comment']);
});

/** Shaped like a credential, and written nowhere as one. */
const secret = ['aB3', 'x9Q', 'zz1', '7Kp'].join('');

test.each<[string, string, boolean]>([
  ['password', secret, true],
  ['dbPassword', secret, true],
  ['API_KEY', secret, true],
  ['client-secret', secret, true],
  ['accessToken', secret, true],
  ['password', 'correcthorse', true],
  ['password', 'your-password', false],
  ['password', '<password>', false],
  ['passwordLabel', secret, false],
  ['tokenType', secret, false],
  ['token', 'access_token', false],
  ['token', '00000000-0000-0000-0000-000000000000', false],
  ['secret', 'process.env.SECRET', false],
  ['apiKey', '', false],
  ['tokenizer', secret, false],
  ['token', 'a b c d e f 1 2', false],
  ['secret', '/run/secrets/db1', false],
])('%s = %j as a credential: %s', (name, value, expected) => {
  expect(isCredential(name, value)).toBe(expected);
});

test.each<[Language, string]>([
  ['typescript', `const apiKey = '${secret}';`],
  ['typescript', `client.password = '${secret}';`],
  ['javascript', `connect({ password: '${secret}' });`],
  ['typescript', `class A { private token = '${secret}'; }`],
  ['javascript', `class A { token = '${secret}'; }`],
  ['python', `API_KEY = "${secret}"`],
  ['python', `connect(password="${secret}")`],
  ['python', `a = {"secret": "${secret}"}`],
])('%s: a credential is an error at strict, and its value is not repeated: %#', (language, source) => {
  const issues = checkSource(parseSource(language, source), language, { level: 'strict', declarations: false });
  expect(issues.map(({ rule, severity }) => [rule, severity])).toEqual([['hard-coded-credential', 'error']]);
  expect(JSON.stringify(issues)).not.toContain(secret);
  expect(check(language, source, 'normal')).toEqual([]);
});

const issue = (severity: Severity, rule = 'r') => ({ severity, rule });
const SCORES: [name: string, issues: { rule: string; severity: Severity }[], lines: number, expected: number][] = [
  ['nothing found', [], 100, 1],
  ['nothing in nothing', [], 0, 1],
  ['one error in a short source', [issue('error')], 5, 0.5],
  ['one error in 200 lines', [issue('error')], 200, 0.75],
  ['one warning in 20 lines', [issue('warning')], 20, 0.741],
  ['one warning in 1,000 lines', [issue('warning')], 1_000, 0.993],
  ['a syntax error in 10,000 lines', [issue('error', 'syntax-error')], 10_000, 0.5],
  ['ten errors in 100 lines', Array.from({ length: 10 }, () => issue('error')), 100, 0.333],
];

test.each(SCORES)('%s: score', (...[, issues, lines, expected]) => {
  expect(scoreOf(issues, lines)).toBe(expected);
});

test.each<[string, Language | null]>([
  ['src/a.ts', 'typescript'],
  ['a.d.mts', 'typescript'],
  ['A.TSX', 'tsx'],
  ['a.cjs', 'javascript'],
  ['a.jsx', 'javascript'],
  ['a.pyi', 'python'],
  ['README.md', null],
  ['Makefile', null],
  ['.ts/file', null],
  ['a.constructor', null],
])('the language of %s is %s', (path, language) => {
  expect(languageOf(path)).toBe(language);
});

test('a report counts lines as editors do', () => {
  expect(['', 'a', 'a\n', 'a\nb', '\n'].map((source) => reportOf(source, 'x', null).lines)).toEqual([0, 1, 1, 2, 1]);
  expect(reportOf('a', 'x.md', null)).toEqual({ path: 'x.md', language: null, lines: 1, score: 1, skipped: true, issues: [] });
});
