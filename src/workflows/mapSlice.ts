import { patched, setHandler } from '@temporalio/workflow';
import type { SliceId } from '../activities/effectBatch.ts';
import { local, remote } from './activities.ts';
import { poke } from './taskGraph.ts';

const SLICE_MS = 1_000;

/** One part of a wide map. Reports by rows and, when the last one is done, a poke. */
export async function mapSlice(id: SliceId): Promise<void> {
  setHandler(poke, () => undefined);
  const loaded = await local.loadSlice(id);
  if ('over' in loaded) return;
  const over = loaded.effect ? await runEffects(id, loaded) : await runInline(id, loaded.items);
  if (!over) await local.finishSlice(id);
}

async function runInline(id: SliceId, items: number[]): Promise<boolean> {
  for (let left = items; left.length > 0;) {
    const done = await local.runItems.executeWithOptions({ summary: `${left.length} items left` }, [id, left, SLICE_MS]);
    if (done.over) return true;
    left = done.left;
  }
  return false;
}

async function runEffects(id: SliceId, slice: { items: number[]; concurrency: number; name: string }): Promise<boolean> {
  if (!patched('items share an activity')) return runOneByOne(id, slice);
  const summary = `${slice.name}: ${slice.items.length} items`;
  for (let left = slice.items.length > 0; left;) {
    const done = await remote.runEffectItems.executeWithOptions({ summary }, [id, slice.concurrency]);
    if (done.over) return true;
    left = done.left;
  }
  return false;
}

/** As executions that began before items shared an activity go on. */
async function runOneByOne(id: SliceId, slice: { items: number[]; concurrency: number; name: string }): Promise<boolean> {
  let cursor = 0;
  let over = false;
  const lane = async () => {
    while (cursor < slice.items.length && !over) {
      const item = slice.items[cursor++] ?? 0;
      const done = await remote.runItem.executeWithOptions({ summary: `${slice.name} ${item}` }, [id, item]);
      over ||= done.over;
    }
  };
  await Promise.all(Array.from({ length: Math.min(slice.concurrency, slice.items.length) }, lane));
  return over;
}
