import { LRUCache } from 'lru-cache';
import { keyActor, type Actor } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';
import type { OrmDatabase } from '../../db/database.ts';
import { findKeyHolder, touchApiKey } from '../../db/repositories/apiKeys.ts';

/** How long a key may still be believed after somebody revoked it in another process, ms. */
const BELIEVED_MS = 1_000;

export type Authenticate = {
  (token: string | undefined): Promise<Actor>;
  /** Forgets what is remembered of every key, after one was revoked here. */
  forget: () => void;
};

/** Who holds a token. Answers of the database are believed for a second, so a busy client costs no query per request. */
export function createAuthenticate(deps: { db: OrmDatabase }): Authenticate {
  const known = new LRUCache<string, Actor>({ max: 1_000, ttl: BELIEVED_MS });
  const authenticate = async (token: string | undefined): Promise<Actor> => {
    if (token === undefined || token === '') throw new Problem('unauthenticated', { detail: 'Send Authorization: Bearer <api key>' });
    const remembered = known.get(token);
    if (remembered) return remembered;
    const holder = await findKeyHolder(deps.db, token);
    if (!holder) throw new Problem('unauthenticated', { detail: 'The key is not valid' });
    const actor = keyActor(holder);
    known.set(token, actor);
    void touchApiKey(deps.db, holder.id).catch(() => undefined); // only for people to look at
    return actor;
  };
  return Object.assign(authenticate, {
    forget: () => {
      known.clear();
    },
  });
}

/** The token of an Authorization header; undefined without one. @throws Problem unauthenticated for another scheme */
export function bearer(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = /^Bearer +(\S+) *$/i.exec(header);
  if (!match) throw new Problem('unauthenticated', { detail: 'Only Bearer is supported' });
  return match[1];
}
