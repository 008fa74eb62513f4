import { LRUCache } from 'lru-cache';
import type { Actor } from '../../domain/access/can.ts';

/** How long an answer of the database is believed, should its notice get lost, ms. */
const BELIEVED_MS = 1_000;
const REMEMBERED = 5_000;

/** Who somebody is, and when that ends or lessens by itself, ms since the epoch. */
export type Known = { actor: Actor; until: number };

export type Believed = {
  /** What is remembered under the name, else what `load` finds. Asked for at once by several it is loaded once. */
  get: (name: string, load: () => Promise<Known>) => Promise<Known>;
  /** @param subject whose rights have changed, as notices of `access` have it; undefined = maybe anybody's */
  forget: (subject?: string) => void;
};

type Entry = Known & { believed: number };

/** Remembers who somebody is for a second, and never past a notice that this has changed. */
export function createBelieved(clock: () => number): Believed {
  const known = new LRUCache<string, Entry>({ max: REMEMBERED });
  const underWay = new Map<string, Promise<Known>>();
  let notices = 0;
  const fetch = async (name: string, load: () => Promise<Known>): Promise<Known> => {
    const before = notices;
    const now = clock();
    const found = await load();
    // what was read before a notice may not be what holds after it
    if (notices === before) known.set(name, { ...found, believed: Math.min(now + BELIEVED_MS, found.until) });
    return found;
  };
  return {
    get: (name, load) => {
      const entry = known.get(name);
      const now = clock();
      if (entry && entry.believed > now && entry.believed <= now + BELIEVED_MS) return Promise.resolve(entry);
      const same = underWay.get(name);
      if (same) return same;
      const loading = fetch(name, load).finally(() => {
        if (underWay.get(name) === loading) underWay.delete(name);
      });
      underWay.set(name, loading);
      return loading;
    },
    forget: (subject) => {
      notices += 1;
      underWay.clear();
      if (subject === undefined) known.clear();
      else for (const [name, { actor }] of known.entries()) if (concerns(subject, actor)) known.delete(name);
    },
  };
}

/** Whether a notice of `access` is about what this actor may do. */
export function concerns(subject: string, actor: Actor): boolean {
  const [kind, id = ''] = subject.split(':');
  if (kind === 'account') return actor.account === id;
  if (kind === 'session') return actor.session?.id === id;
  if (kind === 'workspace') return actor.workspace === id;
  return actor.principal === subject;
}
