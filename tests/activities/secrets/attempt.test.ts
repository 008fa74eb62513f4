import { expect, test } from '@jest/globals';
import { attempt } from '../../../src/activities/attempt.ts';
import type { Execution, Executor } from '../../../src/activities/kinds/executor.ts';
import type { CompiledTask } from '../../../src/activities/plans.ts';
import { compileTemplate } from '../../../src/domain/expression/compileTemplate.ts';
import type { Json } from '../../../src/domain/json.ts';
import { KINDS } from '../../../src/domain/kinds/kinds.ts';
import { Problem } from '../../../src/domain/problem.ts';
import { NOTHING } from '../../../src/domain/redaction/marks.ts';
import { anExecution } from '../kinds/anExecution.ts';

const VALUE = 'canary-of-an-attempt';

function aTask(): CompiledTask {
  const template = compileTemplate('${secrets.key}', { names: [], secrets: true });
  const compiled = 'compiled' in template ? template.compiled : undefined;
  const fields = [{ name: 'body', field: { form: 'template', schema: true }, value: null, compiled }];
  return {
    kind: 'http',
    contract: KINDS.http,
    fields,
    secrets: ['key'],
    marks: { output: NOTHING, message: false },
  } as unknown as CompiledTask;
}

/** One attempt whose executor, or process of its own, does this. */
function anAttempt(execute: Executor, alone = false) {
  const logged: string[] = [];
  const asked: string[][] = [];
  const deps = {
    executors: { http: alone ? () => Promise.reject(new Error('not here')) : execute },
    solo: (_: string, input: { [field: string]: Json }, execution: Omit<Execution, 'signal'>) =>
      execute(input, { ...execution, signal: new AbortController().signal }),
    readSecrets: (workspace: string, names: readonly string[]) => {
      asked.push([workspace, ...names]);
      return Promise.resolve({ key: VALUE });
    },
    log: { warn: (fields: object, event: string) => void logged.push(`${event} ${JSON.stringify(fields)}`) },
    objects: { put: () => Promise.reject(new Error()), get: () => Promise.reject(new Error()), open: () => Promise.reject(new Error()) },
  };
  return { logged, asked, result: attempt(deps, aTask(), { bindings: {}, execution: anExecution(), alone }) };
}

test.each([false, true])(
  'the executor is given the value and the names of what to keep back; in a process of its own: %s',
  async (alone) => {
    const { asked, result } = anAttempt(
      (input, { secrets }) => Promise.resolve({ said: input.body ?? null, keeps: Object.keys(secrets ?? {}) }),
      alone,
    );
    expect(await result).toEqual({ status: 'completed', output: { said: '[secret:key]', keeps: ['key'] } });
    expect(asked).toEqual([[anExecution().workspace, 'key']]);
  },
);

test('a failure is told without the value', async () => {
  const { result } = anAttempt((input) =>
    Promise.reject(new Problem('http_status', { detail: `no ${input.body as string}`, data: [input.body ?? null] })),
  );
  expect(await result).toMatchObject({ failure: { code: 'http_status', message: 'no [secret:key]', data: ['[secret:key]'] } });
});

test('what nobody expected is logged without the value, in its text and its stack', async () => {
  const { logged, result } = anAttempt((input) => Promise.reject(new TypeError(`cannot send ${input.body as string}`)));
  expect(await result).toMatchObject({ status: 'failed', failure: { code: 'internal' } });
  expect(logged).toEqual([expect.stringContaining('cannot send [secret:key]')]);
  expect(logged.join()).not.toContain(VALUE);
});

test('what ends the activity, so that it is repeated, carries the value no further', async () => {
  const cause = new Error(`told ${VALUE}`);
  const { result } = anAttempt(() => Promise.reject(Object.assign(new Error(`lost ${VALUE}`, { cause }), { code: 'ECONNRESET' })));
  const error: Error = await result.then(
    () => new Error('it ended'),
    (thrown: unknown) => thrown as Error,
  );
  expect(error.message).toBe('lost [secret:key]');
  expect([error.stack, (error.cause as Error).message, (error.cause as Error).stack].join()).not.toContain(VALUE);
});
