import type { Database } from '../../db/database.ts';
import { listEvents, type EventRow } from '../../db/repositories/runs.ts';
import type { RunEvent } from '../../domain/run/events.ts';
import { presentEvent } from '../runs/present.ts';

/** Somebody who reads the events of a run in order. */
export type Reader = {
  /** The next events. Not called any more after `live` if that is given: then the room's news are for it. */
  events: (events: readonly RunEvent[]) => void;
  /** It has read everything that was told so far. Called once, in the same breath as the last `events`. */
  live?: () => void;
  /** More is waiting to be sent to it than may be. */
  full: () => boolean;
  /** Resolves when it may be given more, or has gone. */
  drained: () => Promise<void>;
  /** It was too slow and is given nothing more; `seq` is the last event it was given. */
  behind: (seq: number) => void;
};

export type Follower = { reader: Reader; sent: number; state: 'reading' | 'live' | 'stopped' };

/** `head` is the number of the last event that the room was told. */
export type Room = {
  run: string;
  names: readonly string[];
  head: number;
  followers: Set<Follower>;
  /** Followers that come from another process and know more than this one does yet. */
  ahead: Map<Follower, () => void>;
};

export type News = (run: string, events: readonly RunEvent[]) => void;

/** Rows read at once, per run. */
export const PAGE = 500;

/**
 * Tells a room what was read after its head.
 * @returns false if the rows do not continue it: it was left and entered anew while they were read
 */
export function tell(room: Room, rows: readonly EventRow[], news: readonly News[]): boolean {
  const events = rows.filter((row) => row.seq > room.head).map((row) => presentEvent(room.names, row));
  const first = events[0];
  if (!first) return true;
  if (first.seq !== room.head + 1) return false;
  room.head = events.at(-1)?.seq ?? room.head;
  for (const follower of room.followers) if (follower.state === 'live') give(room, follower, events);
  for (const listener of news) listener(room.run, events);
  for (const [follower, resume] of room.ahead) if (follower.sent <= room.head) resume();
  return true;
}

function give(room: Room, follower: Follower, events: readonly RunEvent[]): void {
  const { reader } = follower;
  if (reader.full()) {
    follower.state = 'stopped';
    room.followers.delete(follower);
    reader.behind(follower.sent);
    return;
  }
  follower.sent = room.head;
  if (!reader.live) reader.events(events);
}

/** Reads rows for a follower until it has reached the head, which makes it live; from then on `tell` cares for it. */
export async function catchUp(db: Database, room: Room, follower: Follower): Promise<void> {
  const { reader } = follower;
  const stopped = () => follower.state === 'stopped'; // by others, while something is awaited
  while (!stopped()) {
    if (follower.sent === room.head) {
      follower.state = 'live';
      reader.live?.();
      return;
    }
    if (follower.sent > room.head) {
      await new Promise<void>((resolve) => room.ahead.set(follower, resolve));
      room.ahead.delete(follower);
      continue;
    }
    await reader.drained();
    const rows = await listEvents(db, { run: room.run, after: follower.sent, until: room.head, limit: PAGE });
    if (rows.length === 0) throw new Error(`events of run ${room.run} after ${follower.sent} are gone`);
    if (stopped()) return;
    reader.events(rows.map((row) => presentEvent(room.names, row)));
    follower.sent = rows.at(-1)?.seq ?? follower.sent;
  }
}
