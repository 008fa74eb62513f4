import { AsyncLocalStorage } from 'node:async_hooks';

/** In place of @temporalio/activity: the activity whose code runs. */
type Current = { info: { isLocal: boolean }; heartbeat: () => void };

const storage = new AsyncLocalStorage<Current>();

export const inActivity = <T>(current: Current, work: () => T): T => storage.run(current, work);

export const Context = {
  current: (): Current => {
    const current = storage.getStore();
    if (!current) throw new Error('no activity runs');
    return current;
  },
};
