import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { Client } from '@temporalio/client';
import { randomUUIDv7 } from 'node:crypto';
import { createExecutions, type Executions, type RunHead } from '../../src/temporal/executions.ts';
import { temporalFailure, TemporalUnreachable } from '../../src/temporal/failures.ts';
import { runWorkflowId, sliceWorkflowId } from '../../src/temporal/names.ts';
import { silent, installOnce } from '../worker/support/aWorker.ts';
import { until } from '../support/until.ts';

let connection: NativeConnection;
let client: Client;
let executions: Executions;
const config = {
  TEMPORAL_NAMESPACE: 'default',
  TIU_TASK_QUEUE: 'executions',
  TIU_WORKFLOW_TASK_TIMEOUT: 2_000,
  TIU_PUBLIC_URL: 'https://tiu.example',
  TIU_HOST: '127.0.0.1',
  TIU_PORT: 8080,
};
beforeAll(async () => {
  installOnce();
  connection = await NativeConnection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = new Client({ connection });
  executions = createExecutions({ connection: () => connection, identity: 'tiu-test', config, log: silent, dataConverter: {} });
  await executions.prepare();
});
afterAll(() => connection.close());

const aHead = (more: Partial<RunHead> = {}): RunHead => ({
  runId: randomUUIDv7(),
  workspace: 'w1',
  definition: 'a-definition',
  title: 'A title',
  parent: null,
  priority: 4,
  total: 10,
  ...more,
});
const raw = (runId: string) => client.workflow.getHandle(runWorkflowId(runId)).describe();
const taskTimeoutSeconds = async (runId: string) => Number((await raw(runId)).raw.executionConfig?.defaultWorkflowTaskTimeout?.seconds);

test('an operator finds a run by id, type, summary and search attributes', async () => {
  const run = aHead({ parent: 'p1' });
  await executions.start(run);
  const found = await raw(run.runId);
  expect(found).toMatchObject({ workflowId: `run/${run.runId}`, type: 'a-definition', taskQueue: 'executions' });
  expect(await found.staticSummary()).toBe('A title');
  expect(await found.staticDetails()).toContain(`https://tiu.example/api/v1/runs/${run.runId}`);
  const query = `TiuWorkspace = 'w1' and TiuDefinition = 'a-definition' and TiuParent = 'p1' and TiuPriority = 4`;
  expect(await until(async () => (await client.workflow.count(query)).count)).toBe(1);
});

test('a second start of the same run changes nothing', async () => {
  const run = aHead();
  await executions.start(run);
  const first = await executions.describe(runWorkflowId(run.runId));
  await executions.start(run);
  expect(await executions.describe(runWorkflowId(run.runId))).toEqual(first);
});

test('a run that may have had its execution gets no second one when it has ended, and its first when it had none', async () => {
  const [had, none] = [aHead(), aHead()];
  await executions.start(had);
  const first = await executions.describe(runWorkflowId(had.runId));
  await client.workflow.getHandle(runWorkflowId(had.runId)).terminate();
  await executions.start(had, { completed: true, found: true });
  expect(await executions.describe(runWorkflowId(had.runId))).toMatchObject({ temporalRunId: first?.temporalRunId, status: 'TERMINATED' });
  await executions.start(none, { completed: true, found: true });
  expect(await executions.describe(runWorkflowId(none.runId))).toMatchObject({ status: 'RUNNING' });
});

test('first starts of small plans notice a dead worker soon, large plans and restarts get time', async () => {
  const [small, large, restarted] = [aHead(), aHead({ total: 501 }), aHead()];
  await executions.start(small);
  await executions.start(large);
  await executions.poke(restarted);
  expect(await taskTimeoutSeconds(small.runId)).toBe(2);
  expect(await taskTimeoutSeconds(large.runId)).toBe(10);
  expect(await taskTimeoutSeconds(restarted.runId)).toBe(10);
});

test('a poke starts a run whose execution was terminated; by whom is known', async () => {
  const run = aHead();
  await executions.start(run);
  const workflowId = runWorkflowId(run.runId);
  const first = await executions.describe(workflowId);
  await executions.terminate({ workflowId, temporalRunId: first?.temporalRunId ?? '' }, 'test');
  expect((await executions.describe(workflowId))?.status).toBe('TERMINATED');
  expect(await executions.terminatedBy({ workflowId, temporalRunId: first?.temporalRunId ?? '' })).toBe('tiu-test');
  await executions.poke(run);
  const second = await executions.describe(workflowId);
  expect(second?.status).toBe('RUNNING');
  expect(second?.temporalRunId).not.toBe(first?.temporalRunId);
});

test('a slice is an execution of its own', async () => {
  const slice = { runId: randomUUIDv7(), task: 3, generation: 0, k: 2 };
  await executions.startSlice(slice, 'slice 2');
  expect(await executions.describe(sliceWorkflowId(slice))).toMatchObject({ status: 'RUNNING' });
});

test('an execution that does not exist is told from a server that does not answer', async () => {
  expect(await executions.describe('run/none')).toBeUndefined();
  expect(temporalFailure(await executions.cancel(randomUUIDv7()).catch((error: unknown) => error))).toBe('gone');
  const unreachable = createExecutions({ connection: () => undefined, identity: 'tiu-test', config, log: silent, dataConverter: {} });
  const failure = await unreachable.cancel(randomUUIDv7()).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(TemporalUnreachable);
  expect(temporalFailure(failure)).toBe('down');
  const elsewhere = createExecutions({
    connection: () => connection,
    identity: 'tiu-test',
    config: { ...config, TEMPORAL_NAMESPACE: 'nowhere' },
    log: silent,
    dataConverter: {},
  });
  expect(temporalFailure(await elsewhere.start(aHead()).catch((error: unknown) => error))).toBe('down');
});

test('what Temporal refuses is an invalid request', async () => {
  expect(temporalFailure(await executions.start(aHead({ definition: '' })).catch((error: unknown) => error))).toBe('invalid');
});
