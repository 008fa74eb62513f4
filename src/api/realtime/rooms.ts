import type { Database } from '../../db/database.ts';
import type { Plans } from '../../db/repositories/plans.ts';
import { newEvents, runHeads, type RunRow } from '../../db/repositories/runs.ts';
import type { Log } from '../log.ts';
import { coalesce } from './coalesce.ts';
import type { Feed } from './feed.ts';
import { catchUp, PAGE, tell, type Follower, type News, type Reader, type Room } from './room.ts';

export type Rooms = {
  /** Gives `reader` every event after `after` in order, then each new one. @returns stops it */
  follow: (run: Pick<RunRow, 'id' | 'plan' | 'last_seq'>, after: number, reader: Reader) => Promise<() => void>;
  /** Called with the news of each followed run, for readers that are live. */
  onNews: (listener: News) => void;
};

/**
 * Gapless events of runs. A follower reads rows up to its room's head by itself and becomes live in the moment it has
 * reached it, so nothing is missed and nothing told twice. Rows are read after their commit, and numbers are given
 * under the run's lock, so a number once seen has all numbers before it.
 */
export function createRooms(deps: { db: Database; plans: Plans; feed: Feed; log: Log }): Rooms {
  const rooms = new Map<string, Room>();
  const news: News[] = [];
  const look = createPump(deps, rooms, news);

  const enter = (room: Room, follower: Follower): (() => void) => {
    rooms.set(room.run, room);
    room.followers.add(follower);
    return () => {
      follower.state = 'stopped';
      room.followers.delete(follower);
      room.ahead.get(follower)?.();
      if (room.followers.size === 0 && rooms.get(room.run) === room) rooms.delete(room.run);
    };
  };
  return {
    onNews: (listener) => {
      news.push(listener);
    },
    follow: async (run, after, reader) => {
      const { plan } = await deps.plans.get(run.plan);
      const room = rooms.get(run.id) ?? {
        run: run.id,
        names: plan.graph.names,
        head: run.last_seq,
        followers: new Set(),
        ahead: new Map(),
      };
      const follower: Follower = { reader, sent: Math.min(after, run.last_seq), state: 'reading' };
      const stop = enter(room, follower);
      look(run.id); // what was committed since `run` was read
      void catchUp(deps.db, room, follower).catch((error: unknown) => {
        deps.log.warn({ err: error, runId: run.id }, 'relay.catch_up_failed');
        stop();
        reader.behind(follower.sent);
      });
      return stop;
    },
  };
}

/** Reads what is new in rooms that something may have happened to; one query per burst of changes. */
function createPump(
  deps: { db: Database; feed: Feed; log: Log },
  rooms: ReadonlyMap<string, Room>,
  news: readonly News[],
): (run: string) => void {
  const dirty = new Set<string>();
  let suspect = false; // any room may have news

  const readNews = async () => {
    if (suspect) {
      const heads = await runHeads(deps.db, [...rooms.keys()]);
      for (const { run, last_seq } of heads) if (last_seq > (rooms.get(run)?.head ?? last_seq)) dirty.add(run);
      suspect = false;
    }
    const read = [...dirty].flatMap((run) => rooms.get(run) ?? []);
    dirty.clear();
    if (read.length === 0) return;
    const rows = await newEvents(deps.db, { runs: read.map((room) => room.run), after: read.map((room) => room.head), limit: PAGE });
    for (const [run, found] of Map.groupBy(rows, (row) => row.run)) {
      const room = rooms.get(run);
      if (room && (!tell(room, found, news) || found.length === PAGE)) dirty.add(run);
    }
    if (dirty.size > 0) pump();
  };
  const pump = coalesce(readNews, (error) => {
    suspect = true; // the next poll looks again
    deps.log.warn({ err: error }, 'relay.failed');
  });
  deps.feed.onChange((change) => {
    if (rooms.size === 0) return;
    if (!change) suspect = true;
    for (const run of change ?? []) if (rooms.has(run)) dirty.add(run);
    if (suspect || dirty.size > 0) pump();
  });
  return (run) => {
    dirty.add(run);
    pump();
  };
}
