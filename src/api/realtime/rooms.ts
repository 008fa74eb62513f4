import type { Database } from '../../db/database.ts';
import type { Plans } from '../../db/repositories/plans.ts';
import { listEvents, newEvents, runHeads, type EventRow, type RunRow } from '../../db/repositories/runs.ts';
import type { RunEvent } from '../../domain/run/events.ts';
import type { Log } from '../deps.ts';
import { presentEvent } from '../features/runs/present.ts';
import { coalesce } from './coalesce.ts';
import type { Feed } from './feed.ts';

/** Somebody who reads the events of a run in order. */
export type Reader = {
  /** The next events. Not called any more after `live` if that is given: then `onNews` tells. */
  events: (events: readonly RunEvent[]) => void;
  /** It has read everything that `onNews` has told so far. Called once, in the same breath as the last `events`. */
  live?: () => void;
  /** More is waiting to be sent to it than may be. */
  full: () => boolean;
  /** Resolves when it may be given more, or has gone. */
  drained: () => Promise<void>;
  /** It was too slow and is given nothing more; `seq` is the last event it was given. */
  behind: (seq: number) => void;
};

export type Rooms = {
  /** Gives `reader` every event after `after` in order, then each new one. @returns stops it */
  follow: (run: Pick<RunRow, 'id' | 'plan' | 'last_seq'>, after: number, reader: Reader) => Promise<() => void>;
  /** Called with the news of each followed run, for readers that are live. */
  onNews: (listener: (run: string, events: readonly RunEvent[]) => void) => void;
};

type Follower = { reader: Reader; sent: number; live: boolean; stopped: boolean };
type Room = { run: string; names: readonly string[]; head: number; followers: Set<Follower> };

/** Rows read at once, per run. */
const PAGE = 500;

/**
 * Gapless events of runs. A room's head is the last number it has told; a follower reads rows up to the head by itself
 * and becomes live in the moment it has reached it, so nothing is missed and nothing told twice. Rows are read after
 * their commit, and numbers are given under the run's lock, so a number once seen has all numbers before it.
 */
export function createRooms(deps: { db: Database; plans: Plans; feed: Feed; log: Log }): Rooms {
  const rooms = new Map<string, Room>();
  const dirty = new Set<string>();
  const listeners: ((run: string, events: readonly RunEvent[]) => void)[] = [];
  let suspect = false;

  const pump = coalesce(
    async () => {
      if (suspect) await suspectAll(deps.db, rooms, dirty);
      suspect = false;
      const read = [...dirty].flatMap((run) => rooms.get(run) ?? []);
      dirty.clear();
      if (read.length === 0) return;
      const rows = await newEvents(deps.db, { runs: read.map((r) => r.run), after: read.map((r) => r.head), limit: PAGE }).catch(
        (error: unknown) => {
          for (const room of read) dirty.add(room.run);
          throw error;
        },
      );
      for (const [run, news] of Map.groupBy(rows, (row) => row.run)) {
        const room = rooms.get(run);
        if (room && !tell(room, news, listeners)) dirty.add(run);
        if (news.length === PAGE) dirty.add(run);
      }
      if (dirty.size > 0) pump();
    },
    (error) => {
      suspect = true; // the next poll looks again
      deps.log.warn({ err: error }, 'relay.failed');
    },
  );
  deps.feed.onChange((change) => {
    if (rooms.size === 0) return;
    if (!change) suspect = true;
    for (const run of change ?? []) if (rooms.has(run)) dirty.add(run);
    if (suspect || dirty.size > 0) pump();
  });

  return {
    onNews: (listener) => {
      listeners.push(listener);
    },
    follow: async (run, after, reader) => {
      const { names } = (await deps.plans.get(run.plan)).plan.graph;
      const room = rooms.get(run.id) ?? { run: run.id, names, head: run.last_seq, followers: new Set() };
      rooms.set(run.id, room);
      const follower: Follower = { reader, sent: Math.min(after, room.head), live: false, stopped: false };
      room.followers.add(follower);
      dirty.add(run.id); // what was committed since `run` was read
      pump();
      const stop = () => {
        follower.stopped = true;
        room.followers.delete(follower);
        if (room.followers.size === 0 && rooms.get(run.id) === room) rooms.delete(run.id);
      };
      void catchUp(deps.db, room, follower).catch((error: unknown) => {
        deps.log.warn({ err: error, runId: run.id }, 'relay.catch_up_failed');
        stop();
        reader.behind(follower.sent);
      });
      return stop;
    },
  };
}

async function suspectAll(db: Database, rooms: ReadonlyMap<string, Room>, dirty: Set<string>): Promise<void> {
  for (const { run, last_seq } of await runHeads(db, [...rooms.keys()])) if (last_seq > (rooms.get(run)?.head ?? last_seq)) dirty.add(run);
}

/** @returns false if the rows do not continue the room: it was left and entered anew while they were read */
function tell(room: Room, rows: readonly EventRow[], listeners: readonly ((run: string, events: readonly RunEvent[]) => void)[]): boolean {
  const events = rows.filter((row) => row.seq > room.head).map((row) => presentEvent(room.names, row));
  const first = events[0];
  if (!first) return true;
  if (first.seq !== room.head + 1) return false;
  room.head = events.at(-1)?.seq ?? room.head;
  for (const follower of room.followers) if (follower.live) give(room, follower, events);
  for (const listener of listeners) listener(room.run, events);
  return true;
}

function give(room: Room, follower: Follower, events: readonly RunEvent[]): void {
  const { reader } = follower;
  if (reader.full()) {
    follower.stopped = true;
    room.followers.delete(follower);
    reader.behind(follower.sent);
    return;
  }
  follower.sent = room.head;
  if (!reader.live) reader.events(events);
}

async function catchUp(db: Database, room: Room, follower: Follower): Promise<void> {
  const { reader } = follower;
  while (!follower.stopped) {
    if (follower.sent >= room.head) {
      follower.live = true;
      reader.live?.();
      return;
    }
    await reader.drained();
    const rows = await listEvents(db, { run: room.run, after: follower.sent, until: room.head, limit: PAGE });
    if (rows.length === 0) throw new Error(`events of run ${room.run} after ${follower.sent} are gone`);
    if (follower.stopped) return;
    reader.events(rows.map((row) => presentEvent(room.names, row)));
    follower.sent = rows.at(-1)?.seq ?? follower.sent;
  }
}
