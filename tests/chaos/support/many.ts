import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { kill, type Cluster } from './cluster.ts';
import { holds } from './holds.ts';
import { mixed } from './mixed.ts';
import { processOf } from './processOf.ts';
import { call, closed, define, eventsOf, submit, type AcceptedRun } from './runs.ts';

type Seen = { seq: number; type: string };
export type Played = {
  /** What is wrong; empty when everything holds. */
  bad: string[];
  runs: number;
  /** Runs by the worker process that carried them for the first time, by its identity in Temporal. */
  carriedBy: Map<string, number>;
  effects: number;
  repeated: number;
};

const FOLLOWED = 8;
const RACES = 12;

/**
 * Mixed runs over every api of a cluster, one worker killed when each has done something: all end as they should, a key
 * submitted to all apis at once makes one run, and who follows a run hears the same at each api.
 */
export async function playMany(cluster: Cluster, count: number): Promise<Played> {
  const bad: string[] = [];
  const everyWorker = eachHasCalled(cluster);
  const runs = await mixed(cluster, count);
  const following = Promise.all(runs.slice(0, FOLLOWED).map((run) => followEverywhere(cluster, run)));
  const raced = await Promise.all(Array.from({ length: RACES }, () => race(cluster, bad)));
  // with little to do, one may have had nothing when all is done
  await Promise.race([everyWorker, closed(cluster, runs)]);
  const [first] = cluster.workers;
  if (first) await kill(first);
  const all = [...runs, ...raced];
  await closed(cluster, all);
  for (const { run, heard } of await following) bad.push(...(await differences(cluster, run, heard)));
  const report = await holds(cluster, all);
  const carriedBy = await carriers(cluster, all);
  return { bad: [...bad, ...report.bad], runs: all.length, carriedBy, effects: report.effects, repeated: report.repeated };
}

/** Resolves when every worker there is now has called the receiver. */
async function eachHasCalled(cluster: Cluster): Promise<void> {
  const missing = new Set(cluster.workers.map(({ pid }) => pid));
  const { promise, resolve } = Promise.withResolvers<undefined>();
  cluster.receiver.beforeAnswer(({ port }) => {
    missing.delete(processOf({ near: port, far: cluster.receiver.port }, [...missing]) ?? 0);
    if (missing.size > 0) return;
    cluster.receiver.beforeAnswer(undefined);
    resolve(undefined);
  });
  return promise;
}

/** The same key, twice at every api, all at once. */
async function race(cluster: Cluster, bad: string[]): Promise<AcceptedRun> {
  const key = randomUUID();
  const definition = define({ post: call(cluster, '/race') });
  const places = [...cluster.apis.keys(), ...cluster.apis.keys()];
  const [run, ...others] = await Promise.all(places.map((api) => submit(cluster, definition, { key, api, status: 'completed' })));
  if (!run) throw new Error('there is no api');
  for (const other of others) if (other.id !== run.id) bad.push(`one key made two runs: ${run.id} and ${other.id}`);
  return run;
}

async function followEverywhere(cluster: Cluster, run: AcceptedRun): Promise<{ run: AcceptedRun; heard: Seen[][] }> {
  return { run, heard: await Promise.all(cluster.apis.map(({ line }) => follow(line.url ?? '', cluster.key, run.id))) };
}

/** Every event of a run, from a stream that ends with it. */
async function follow(url: string, key: string, run: string): Promise<Seen[]> {
  const headers = { authorization: `Bearer ${key}`, accept: 'text/event-stream', 'last-event-id': '0' };
  const text = await (await fetch(`${url}/api/v1/runs/${run}/events`, { headers })).text();
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as Seen);
}

async function differences(cluster: Cluster, run: AcceptedRun, heard: Seen[][]): Promise<string[]> {
  const short = (events: Seen[]) => events.map(({ seq, type }) => `${seq} ${type}`).join('\n');
  const recorded = short(await eventsOf(cluster, run.id));
  return heard.flatMap((events, api) =>
    short(events) === recorded ? [] : [`${run.id}: api ${api + 1} told something else than is recorded`],
  );
}

async function carriers(cluster: Cluster, runs: AcceptedRun[]): Promise<Map<string, number>> {
  const connection = await Connection.connect({ address: cluster.temporal.address });
  const { workflow } = new Client({ connection });
  const carriedBy = new Map<string, number>();
  for (const { id } of runs) {
    // That of a short run comes after its end, and that of a killed worker's when somebody has taken over.
    const history = await workflow
      .getHandle(`run/${id}`)
      .fetchHistory()
      .catch(() => undefined);
    if (!history) continue;
    const identity =
      history.events?.find((event) => event.workflowTaskStartedEventAttributes)?.workflowTaskStartedEventAttributes?.identity ?? '';
    carriedBy.set(identity, (carriedBy.get(identity) ?? 0) + 1);
  }
  await connection.close();
  return carriedBy;
}
