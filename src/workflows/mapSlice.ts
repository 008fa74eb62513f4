import { condition, patched, setHandler } from '@temporalio/workflow';
import type { SliceId } from '../activities/effectBatch.ts';
import { local, remote } from './activities.ts';
import { poke } from './taskGraph.ts';

const SLICE_MS = 1_000;
/** How often a paused slice looks by itself: less and less often. */
const FIRST_LOOK_MS = 10_000;
const LAST_LOOK_MS = 3_600_000;

/** What wakes a slice whose run was paused: it is started again, which pokes the one that is there. */
type Wakes = { poked: boolean };

/** One part of a wide map. Reports by rows and, when the last one is done, a poke. */
export async function mapSlice(id: SliceId): Promise<void> {
  const wakes: Wakes = { poked: false };
  setHandler(poke, () => void (wakes.poked = true));
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
    const end = await run(id);
    if (end === 'done') return local.finishSlice(id);
    if (end === 'over') return;
    await condition(() => wakes.poked, waitMs); // nobody tells it that its run has ended
    wakes.poked = false;
  }
}

type End = 'done' | 'over' | 'paused';

async function run(id: SliceId): Promise<End> {
  const loaded = await local.loadSlice(id);
  if ('over' in loaded) return 'over';
  if ('paused' in loaded) return 'paused';
  return loaded.effect ? runEffects(id, loaded) : runInline(id, loaded.items);
}

const endOf = ({ over, paused }: { over: boolean; paused?: boolean }): End | undefined => (over ? 'over' : paused ? 'paused' : undefined);

async function runInline(id: SliceId, items: number[]): Promise<End> {
  for (let left = items; left.length > 0;) {
    const done = await local.runItems.executeWithOptions({ summary: `${left.length} items left` }, [id, left, SLICE_MS]);
    const end = endOf(done);
    if (end !== undefined) return end;
    left = done.left;
  }
  return 'done';
}

async function runEffects(id: SliceId, slice: { items: number[]; concurrency: number; name: string }): Promise<End> {
  if (!patched('items share an activity')) return runOneByOne(id, slice);
  const summary = `${slice.name}: ${slice.items.length} items`;
  for (let left = slice.items.length > 0; left;) {
    const done = await remote.runEffectItems.executeWithOptions({ summary }, [id, slice.concurrency]);
    const end = endOf(done);
    if (end !== undefined) return end;
    left = done.left;
  }
  return 'done';
}

/** As executions that began before items shared an activity go on. */
async function runOneByOne(id: SliceId, slice: { items: number[]; concurrency: number; name: string }): Promise<End> {
  let cursor = 0;
  const seen = { over: false };
  const lane = async () => {
    while (cursor < slice.items.length && !seen.over) {
      const item = slice.items[cursor++] ?? 0;
      const done = await remote.runItem.executeWithOptions({ summary: `${slice.name} ${item}` }, [id, item]);
      seen.over ||= done.over;
    }
  };
  await Promise.all(Array.from({ length: Math.min(slice.concurrency, slice.items.length) }, lane));
  return seen.over ? 'over' : 'done';
}
