import { activityInfo, cancelled, heartbeat } from '@temporalio/activity';
import { ApplicationFailure, type DataConverter } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { installOnce } from '../worker/support/aWorker.ts';

const BEAT_MS = 50;

/** Something that happens once, by name. */
function createSignals() {
  const all = new Map<string, PromiseWithResolvers<undefined>>();
  const of = (name: string) => {
    const known = all.get(name) ?? Promise.withResolvers<undefined>();
    all.set(name, known);
    return known;
  };
  return {
    give: (name: string) => {
      of(name).resolve(undefined);
    },
    get: (name: string): Promise<undefined> => of(name).promise,
  };
}

/** A worker of a user's with activities that a test follows and holds back. */
export async function someActivities(place: { address: string; taskQueue: string; dataConverter: DataConverter }) {
  installOnce();
  const begun = createSignals();
  const stopped = createSignals();
  const gates = createSignals();
  const calls: string[] = [];
  const activities = {
    tell: (...args: unknown[]) => Promise.resolve({ args, workflowId: activityInfo().workflowExecution?.workflowId }),
    large: (size: number) => Promise.resolve('x'.repeat(size)),
    /** Fails until the attempt of this number. */
    flaky: (attempt: number) => {
      if (activityInfo().attempt < attempt) throw ApplicationFailure.retryable('not yet', 'Busy');
      return Promise.resolve(activityInfo().attempt);
    },
    refuse: () => {
      throw ApplicationFailure.nonRetryable('there is no money', 'NoMoney');
    },
    /** Until it is told to stop, which it hears by its heartbeats. */
    beat: async (name: string) => {
      const beating = setInterval(heartbeat, BEAT_MS);
      begun.give(name);
      await cancelled().finally(() => {
        clearInterval(beating);
        stopped.give(name);
      });
    },
    /** Until the test opens its gate. */
    hold: async (name: string) => {
      calls.push(name);
      begun.give(name);
      await gates.get(name);
      return name;
    },
  };
  const connection = await NativeConnection.connect({ address: place.address });
  const { taskQueue, dataConverter } = place;
  const throttle = { defaultHeartbeatThrottleInterval: BEAT_MS, maxHeartbeatThrottleInterval: BEAT_MS };
  const worker = await Worker.create({ connection, taskQueue, dataConverter, activities, ...throttle });
  const running = worker.run();
  return {
    begun: begun.get,
    stopped: stopped.get,
    open: gates.give,
    callsOf: (name: string) => calls.filter((call) => call === name).length,
    stop: async () => {
      worker.shutdown();
      await running;
      await connection.close();
    },
  };
}
