import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import fs from 'node:fs';
import path from 'node:path';
import type { Json } from '../../src/domain/json.ts';
import { aCluster } from '../chaos/support/cluster.ts';
import { executionsOf } from '../chaos/support/runs.ts';
import { play, shapes, SUGGESTED } from './shapes.ts';

/**
 * Records the histories that the replay test reads: `node tests/replay/record.ts [SHAPE ...]`. To be run only when the
 * workflow code was changed on purpose in a way that old histories cannot follow; say so in the commit.
 */
const FOLDER = path.join(import.meta.dirname, 'histories');

/** Names of this machine and its processes have no place in a stored history. */
function anonymous(value: Json, name = ''): Json {
  if (Array.isArray(value)) return value.map((entry) => anonymous(entry));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([field]) => field !== 'workerVersion' && field !== 'binaryChecksum');
    const isSticky = value.kind === 'TASK_QUEUE_KIND_STICKY';
    return Object.fromEntries(entries.map(([field, entry]) => [field, isSticky && field === 'name' ? 'sticky' : anonymous(entry, field)]));
  }
  return name === 'identity' ? 'somebody' : value;
}

const env = { TIU_ACTIVITY_START_TIMEOUT: '500' };
const cluster = await aCluster({ workers: 1, env, dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': SUGGESTED } });
const connection = await Connection.connect({ address: cluster.temporal.address });
const { workflow } = new Client({ connection });
const wanted = process.argv.slice(2);
fs.mkdirSync(FOLDER, { recursive: true });
for (const [name, shape] of Object.entries(shapes(cluster))) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const run = await play(cluster, shape);
  await executionsOf(cluster, [run.id]);
  const workflowId = shape.workflowId?.(run) ?? `run/${run.id}`;
  const history = await workflow.getHandle(workflowId, shape.first ? await firstOf(workflowId) : undefined).fetchHistory();
  const { events } = anonymous(JSON.parse(historyToJSON(history)) as Json) as { events: Json[] };
  fs.writeFileSync(path.join(FOLDER, `${name}.json`), `${JSON.stringify({ workflowId, events })}\n`);
  process.stdout.write(`${name}: ${events.length} events\n`);
}
await connection.close();
await cluster.stop();

/** The execution that continued as new into the one there is now. */
async function firstOf(workflowId: string): Promise<string | undefined> {
  const { events } = await workflow.getHandle(workflowId).fetchHistory();
  return events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId ?? undefined;
}
