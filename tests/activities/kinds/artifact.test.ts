import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pack } from 'tar-stream';
import { createExecutors } from '../../../src/activities/kinds/executors.ts';
import type { Database } from '../../../src/db/database.ts';
import type { Json } from '../../../src/domain/json.ts';
import { KINDS } from '../../../src/domain/kinds/kinds.ts';
import { createArchives } from '../../../src/providers/archive/archives.ts';
import { openAuditKeys } from '../../../src/providers/auditKeys/auditKeys.ts';
import { createPrograms } from '../../../src/providers/command/programs.ts';
import { createHttpClient } from '../../../src/providers/http/httpClient.ts';
import { createMailer } from '../../../src/providers/mail/mailer.ts';
import { createSyntax } from '../../../src/providers/syntax/syntax.ts';
import { aProblem } from '../../providers/aProblem.ts';
import { aMemoryStore, anExecution, RUN, WORKSPACE } from './anExecution.ts';

const store = aMemoryStore();
const syntax = createSyntax();
const http = createHttpClient({ allow: '', maxBodyBytes: 1_000 });
const unused = {
  ...{
    db: {} as Database,
    auditKeys: openAuditKeys({}),
    exportMs: 1,
    keep: { runDays: 0, auditDays: 0, objectsMs: 0, markedMs: 0 },
    mailer: createMailer({}),
    webhookKeys: [],
    maxCommands: 1,
  },
  programs: createPrograms({ allowed: new Map(), visible: [], memoryBytes: 1, keepBytes: 1, maxBytes: 1, graceMs: 1 }),
};
const executors = createExecutors({ ...store, ...unused, archives: createArchives(store), syntax, http, now: () => 0 });
function run(kind: string, input: { [field: string]: Json }): Promise<Json> {
  const executor = executors[kind];
  if (executor === undefined) throw new Error(kind);
  return executor(input, anExecution());
}
let source: string;

beforeAll(async () => {
  const tar = pack();
  tar.entry({ name: 'src/stub.ts' }, '\uFEFFexport function f(): number {\n  throw new Error("not implemented");\n}\n');
  tar.entry({ name: 'src/real.py' }, 'def f():\n    return 1\n');
  tar.entry({ name: 'src/types.pyi' }, 'def f() -> int: ...\n');
  tar.entry({ name: 'package.json' }, '{"name":"x"}');
  tar.entry({ name: 'README.md' }, '# X');
  tar.entry({ name: 'logo.png' }, Buffer.from([0x89, 0xff, 0xfe, 0]));
  tar.finalize();
  source = (await store.objects.put(WORKSPACE, gzipSync(Buffer.concat((await Readable.from(tar).toArray()) as Buffer[])))).sha256;
});
afterAll(() => Promise.all([syntax.close(), http.close()]));

test('every kind that the engine does not evaluate itself has an executor', () => {
  const evaluated = ['transform', 'assert', 'switch', 'wait', 'event', 'approval', 'workflow', 'activity'];
  expect(Object.keys(executors).sort()).toEqual(
    Object.keys(KINDS)
      .filter((kind) => !evaluated.includes(kind))
      .sort(),
  );
});

test('artifact.list gives what globs choose, sorted', async () => {
  const paths = async (input: { [field: string]: Json }) =>
    ((await run('artifact.list', { artifact: source, ...input })) as { path: string }[]).map(({ path }) => path);
  expect(await paths({})).toEqual(['README.md', 'logo.png', 'package.json', 'src/real.py', 'src/stub.ts', 'src/types.pyi']);
  expect(await paths({ include: ['**/*.ts', '**/*.py'] })).toEqual(['src/real.py', 'src/stub.ts']);
  expect(await paths({ include: ['src/**'], exclude: ['**/*.pyi'] })).toEqual(['src/real.py', 'src/stub.ts']);
  expect(await run('artifact.list', { artifact: { sha256: source }, include: ['package.json'] })).toEqual([
    { path: 'package.json', size: 12, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
});

test('artifact.read reads an entry, or the artifact itself, as text or JSON', async () => {
  await expect(run('artifact.read', { artifact: source, path: 'README.md' })).resolves.toBe('# X');
  await expect(run('artifact.read', { artifact: `sha256:${source}`, path: 'package.json', as: 'json' })).resolves.toEqual({ name: 'x' });
  const written = await run('artifact.write', { content: { b: 1 }, name: 'b.json' });
  await expect(run('artifact.read', { artifact: written, as: 'json' })).resolves.toEqual({ b: 1 });
});

test('artifact.read refuses what is not there or not text', async () => {
  await expect(run('artifact.read', { artifact: source, path: 'nowhere' })).rejects.toThrow(aProblem('artifact_entry_not_found'));
  await expect(run('artifact.read', { artifact: '0'.repeat(64) })).rejects.toThrow(aProblem('artifact_not_found'));
  await expect(run('artifact.read', { artifact: source, path: 'logo.png' })).rejects.toThrow(aProblem('invalid_task_output'));
  await expect(run('artifact.read', { artifact: source, path: 'README.md', as: 'json' })).rejects.toThrow(aProblem('invalid_task_output'));
  await expect(run('artifact.read', { artifact: 'x' })).rejects.toThrow(aProblem('invalid_task_input'));
  const big = await store.objects.put(WORKSPACE, Buffer.alloc(8 * 2 ** 20 + 1));
  await expect(run('artifact.read', { artifact: big.sha256 })).rejects.toThrow(aProblem('artifact_too_large'));
});

test('artifact.write stores, records and is held by the run', async () => {
  const text = await run('artifact.write', { content: 'grüße', name: 'a.txt' });
  expect(text).toEqual({ sha256: expect.any(String), size: 7, mediaType: 'text/plain; charset=utf-8', name: 'a.txt' });
  expect(store.rows.at(-1)).toEqual({ workspace: WORKSPACE, artifact: text, holder: `run:${RUN}` });
  await expect(run('artifact.write', { content: null, name: 'n', mediaType: 'x/y' })).resolves.toMatchObject({ size: 5, mediaType: 'x/y' });
});

test('validate reports a file of an archive with its path', async () => {
  await expect(run('validate', { artifact: source, path: 'src/stub.ts' })).resolves.toEqual({
    path: 'src/stub.ts',
    language: 'typescript',
    lines: 3,
    score: 0.5,
    skipped: false,
    issues: [expect.objectContaining({ path: 'src/stub.ts', line: 1, column: 8, rule: 'not-implemented', severity: 'error' })],
  });
  await expect(run('validate', { artifact: source, path: 'src/real.py' })).resolves.toMatchObject({
    language: 'python',
    score: 1,
    issues: [],
  });
  await expect(run('validate', { artifact: source, path: 'src/types.pyi' })).resolves.toMatchObject({ language: 'python', score: 1 });
});

test('validate takes content, with a language or a path', async () => {
  await expect(run('validate', { content: 'function f() {}', language: 'javascript' })).resolves.toMatchObject({ path: '', score: 0.741 });
  await expect(run('validate', { content: 'def f(): pass', path: 'a.py', level: 'lenient' })).resolves.toMatchObject({
    path: 'a.py',
    score: 1,
  });
  const single = await run('artifact.write', { content: 'def f(): ...\n', name: 'one.py' });
  await expect(run('validate', { artifact: single })).resolves.toMatchObject({ path: 'one.py', language: 'python', score: 0.5 });
});

test('a file that no parser knows is skipped, not failed; a language that none knows is a failure', async () => {
  await expect(run('validate', { artifact: source, path: 'README.md' })).resolves.toEqual({
    path: 'README.md',
    language: null,
    lines: 1,
    score: 1,
    skipped: true,
    issues: [],
  });
  await expect(run('validate', { artifact: source, path: 'gone.md' })).rejects.toThrow(aProblem('artifact_entry_not_found'));
  await expect(run('validate', { content: 'x', language: 'cobol' })).rejects.toThrow(aProblem('unsupported_language'));
  await expect(run('validate', { content: 'x' })).rejects.toThrow(aProblem('unsupported_language'));
});
