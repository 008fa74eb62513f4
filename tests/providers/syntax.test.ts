import { afterEach, expect, test } from '@jest/globals';
import { createSyntax, type Syntax, type SyntaxOptions } from '../../src/providers/syntax/syntax.ts';
import { aProblem } from './aProblem.ts';

const opened: Syntax[] = [];
const aSyntax = (options?: SyntaxOptions): Syntax => {
  const syntax = createSyntax(options);
  opened.push(syntax);
  return syntax;
};
afterEach(() => Promise.all(opened.splice(0).map((syntax) => syntax.close())));

const rules = { level: 'normal', declarations: false } as const;
const stub = { language: 'typescript', source: 'function f() {}', rules } as const;
/** Far from any grammar: parsing takes time that grows faster than the text. */
const slow = { language: 'typescript', source: 'a<'.repeat(60_000), rules } as const;

test('a source is checked on another thread, in each language', async () => {
  const syntax = aSyntax();
  const sources = [
    stub,
    { ...stub, language: 'tsx' },
    { ...stub, language: 'javascript' },
    { language: 'python', source: 'def f():\n  pass\n', rules },
  ] as const;
  const all = await Promise.all(sources.map((job) => syntax.check(job)));
  expect(all.map(([issue]) => issue?.rule)).toEqual(['empty-body', 'empty-body', 'empty-body', 'empty-body']);
});

test('two threads share the work', async () => {
  const syntax = aSyntax({ size: 2 });
  const all = await Promise.all(Array.from({ length: 40 }, () => syntax.check(stub)));
  expect(all.every((issues) => issues.length === 1)).toBe(true);
});

test('a job out of time fails at once, and the next one gets another thread', async () => {
  const syntax = aSyntax({ timeoutMs: 50 });
  await syntax.check(stub);
  const late = syntax.check(slow);
  const next = syntax.check(stub);
  await expect(late).rejects.toThrow(aProblem('validation_timed_out'));
  await expect(next).resolves.toHaveLength(1);
});

test('the event loop turns while a source is parsed', async () => {
  const syntax = aSyntax();
  await syntax.check(stub);
  let turns = 0;
  const turn = () => {
    turns += 1;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  await syntax.check({ ...stub, source: 'export function add(a: number, b: number): number {\n  return a + b;\n}\n'.repeat(5_000) });
  clearImmediate(next);
  expect(turns).toBeGreaterThan(100);
});

test('a source beyond the limit is refused', async () => {
  await expect(aSyntax({ maxSource: 10 }).check(stub)).rejects.toThrow(aProblem('source_too_large'));
});

test('an aborted job leaves the queue with the reason of the signal', async () => {
  const syntax = aSyntax();
  const controller = new AbortController();
  const first = syntax.check(stub);
  const aborted = expect(syntax.check(stub, controller.signal)).rejects.toThrow('enough');
  controller.abort(new Error('enough'));
  await aborted;
  await expect(first).resolves.toHaveLength(1);
  await expect(syntax.check(stub, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});

test('a thread without work ends, and the next job starts one', async () => {
  const syntax = aSyntax({ idleMs: 1 });
  await syntax.check(stub);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await expect(syntax.check(stub)).resolves.toHaveLength(1);
});

test('closing fails what waits and what comes', async () => {
  const syntax = aSyntax();
  const waiting = [syntax.check(slow), syntax.check(stub)].map((one) => expect(one).rejects.toThrow(aProblem('unavailable')));
  await syntax.close();
  await Promise.all(waiting);
  await expect(syntax.check(stub)).rejects.toThrow(aProblem('unavailable'));
});

test.each([
  ['brackets', '('.repeat(100_000)],
  ['nested calls', `${'f('.repeat(8_000)}${')'.repeat(8_000)}`],
  ['a long sum', `const a = ${'1+'.repeat(20_000)}1;`],
  ['nested functions', `${'function f() {'.repeat(1_500)}${'}'.repeat(1_500)}`],
  ['unpaired surrogates and zeros', '\u0000\ud800`${\udc00'.repeat(1_000)],
])('hostile source ends with an answer or a problem: %s', async (_name, source) => {
  const outcome = await aSyntax({ timeoutMs: 5_000 })
    .check({ ...stub, source })
    .then(
      () => 'answered',
      (error: unknown) => (error as { code: string }).code,
    );
  expect(['answered', 'validation_timed_out', 'internal']).toContain(outcome);
});
