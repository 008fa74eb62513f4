import type { Actor } from '../../domain/access/can.ts';
import type { Rights } from '../../domain/access/roles.ts';
import { Problem } from '../../domain/problem.ts';
import type { Feed } from '../realtime/feed.ts';
import type { Authenticate, Authenticated } from './authenticate.ts';
import { concerns } from './believed.ts';
import { requireSecondFactor } from './secondFactor.ts';

/** How often rights that have ended by themselves are looked for, and all of them, should a notice have got lost, ms. */
const ENDS_MS = 1_000;
const ALL_MS = 10_000;

type Listener = {
  /** They have other rights now, and none less. */
  changed: (actor: Actor) => void;
  /** They may no longer, or not what they could. Told once. */
  ended: (problem: Problem) => void;
};

export type Watch = {
  /** Looks after somebody who is here for long: a socket, a stream. @returns ends that */
  watch: (who: Authenticated, listener: Listener) => () => void;
  close: () => void;
};

type Watched = Authenticated & Listener;

/** Rights of those who stay are looked at again when a notice says that they have changed, when they end, and every so often. */
export function createWatch(deps: { authenticate: Authenticate; feed: Pick<Feed, 'onAccess'>; clock: () => number }): Watch {
  const all = new Set<Watched>();
  const again = async (one: Watched): Promise<void> => {
    try {
      const now = await deps.authenticate.again(one.credential);
      if (!all.has(one)) return;
      requireSecondFactor(now.actor);
      if (hasLost(one.actor, now.actor)) throw new Problem('forbidden', { detail: 'What you may do has changed: connect again' });
      Object.assign(one, now);
      one.changed(now.actor);
    } catch (error) {
      // what the database did not answer is asked again
      if (!(error instanceof Problem)) one.until = 0;
      else if (all.delete(one)) one.ended(error);
    }
  };
  const look = (which: (one: Watched) => boolean) => {
    for (const one of all) if (which(one)) void again(one);
  };
  deps.feed.onAccess((subject) => {
    look((one) => subject === undefined || concerns(subject, one.actor));
  });
  const ends = setInterval(() => {
    const now = deps.clock();
    look(({ until }) => until <= now);
  }, ENDS_MS);
  const lost = setInterval(() => {
    look(() => true);
  }, ALL_MS);
  return {
    watch: (who, listener) => {
      const one = { ...who, ...listener };
      all.add(one);
      void again(one); // it may have changed since they were authenticated
      return () => all.delete(one);
    },
    close: () => {
      clearInterval(ends);
      clearInterval(lost);
      all.clear();
    },
  };
}

/** Whether somebody may less than before, anywhere. */
function hasLost(before: Actor, now: Actor): boolean {
  if (before.workspace !== now.workspace || lacks(before, now)) return true;
  return [...before.projects].some(([id, rights]) => lacks(rights, now.projects.get(id)));
}

const lacks = (before: Rights, now: Rights | undefined): boolean =>
  [...before.actions].some((action) => now?.actions.has(action) !== true) ||
  [...before.own].some((action) => now?.own.has(action) !== true);
