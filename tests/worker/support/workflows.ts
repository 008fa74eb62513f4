import { condition, defineSignal, proxyLocalActivities, setHandler, CancellationScope } from '@temporalio/workflow';

type Acts = {
  load: (runId: string) => Promise<string>;
  finish: (runId: string) => Promise<void>;
  loadSlice: (slice: object) => Promise<void>;
  loadExternal: (external: object) => Promise<void>;
};
const { load, finish, loadSlice, loadExternal } = proxyLocalActivities<Acts>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '100ms', maximumInterval: '500ms' },
});

/** A stand-in for the engine. What it does is the run's input: finish, wait (for a poke), poison, end (without closing the row). */
async function anyRun(input: { runId: string }): Promise<void> {
  let woken = false;
  setHandler(defineSignal('poke'), () => {
    woken = true;
  });
  CancellationScope.current().cancelRequested.catch(() => {
    woken = true;
  });
  await CancellationScope.nonCancellable(async () => {
    const mode = await load(input.runId);
    if (mode === 'poison') throw new Error('poison');
    if (mode === 'end') return;
    if (mode === 'wait') {
      woken = false;
      await condition(() => woken);
    }
    await finish(input.runId);
  });
}
export default anyRun;

async function anySlice(slice: object): Promise<void> {
  await loadSlice(slice);
}
export { anySlice as 'tiu.mapSlice' };

/** Waits for a cancel. */
async function anyExternal(external: object): Promise<void> {
  await loadExternal(external);
  await condition(() => false);
}
export { anyExternal as 'tiu.external' };
