import { LRUCache } from 'lru-cache';
import { personActor, personKeyActor } from '../../domain/access/actors.ts';
import { keyActor } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';
import { findKeyHolder, findSessionHolder, touchApiKey, touchSession, type HolderQuery, type MfaRule } from '../../db/actors.ts';
import type { OrmDatabase } from '../../db/database.ts';
import type { AccessClaims, Tokens } from '../../providers/tokens/tokens.ts';
import type { Feed } from '../realtime/feed.ts';
import { createBelieved, type Known } from './believed.ts';

/** What somebody goes by for as long as they are here: an API key, or a session, whose tokens come and go. */
type Credential = { key: string } | { session: string };

/** Who somebody is, what they go by, and when that ends or lessens by itself, ms since the epoch. */
export type Authenticated = Known & { credential: Credential };

export type Authenticate = {
  /** By an access token or an API key. @throws Problem unauthenticated, whatever is wrong with it */
  (token: string | undefined): Promise<Authenticated>;
  /** By what somebody went by before; without noting that it was used. @throws Problem unauthenticated */
  again: (credential: Credential) => Promise<Authenticated>;
  /** Forgets what is believed of them, once that was changed here. @param subject as notices of `access` have it */
  forget: (subject: string) => void;
};

export type AuthenticateDeps = { db: OrmDatabase; tokens: Tokens; feed: Pick<Feed, 'onAccess'>; clock: () => number; requireMfa: MfaRule };

const API_KEY = 'tiu_';
/** Access tokens whose signature was checked. */
const VERIFIED = 5_000;

export const unauthenticated = (cause?: unknown): Problem =>
  new Problem('unauthenticated', { detail: 'Send Authorization: Bearer <access token or API key>', cause });

/**
 * Who holds a token. Signatures are checked once, and what the database says is believed for a second or until a notice says
 * that it has changed: a busy client costs no query per request.
 */
export function createAuthenticate(deps: AuthenticateDeps): Authenticate {
  const { db, tokens, clock, requireMfa: require } = deps;
  const verified = new LRUCache<string, AccessClaims>({ max: VERIFIED });
  const believed = createBelieved(clock);
  deps.feed.onAccess(believed.forget);

  const verify = async (token: string): Promise<AccessClaims> => {
    const known = verified.get(token);
    if (known && known.expires > clock()) return known;
    const claims = await tokens.verifyAccess(token);
    verified.set(token, claims);
    return claims;
  };
  const load = async (credential: Credential, touch: boolean): Promise<Known> => {
    const found =
      'key' in credential
        ? await holderOfKey(db, credential.key, { now: clock(), require })
        : await holderOfSession(db, credential.session, { now: clock(), require });
    if (!found) throw unauthenticated();
    if (touch && found.idle) void found.touch().catch(() => undefined); // only for people to look at, and the idle limit, which is longer
    return found;
  };
  const look = async (credential: Credential, touch: boolean): Promise<Authenticated> => {
    const name = 'key' in credential ? credential.key : credential.session;
    return { ...(await believed.get(name, () => load(credential, touch))), credential };
  };
  const authenticate = async (token: string | undefined): Promise<Authenticated> => {
    if (token === undefined || token === '') throw unauthenticated();
    if (token.startsWith(API_KEY)) return look({ key: token }, true);
    const claims = await verify(token).catch((cause: unknown) => {
      throw unauthenticated(cause);
    });
    const found = await look({ session: claims.session }, true);
    // the session acts elsewhere by now: whoever still holds this token means the former workspace
    if (found.actor.workspace !== claims.workspace || found.actor.account !== claims.account) throw unauthenticated();
    return found;
  };
  return Object.assign(authenticate, { again: (credential: Credential) => look(credential, false), forget: believed.forget });
}

type Found = Known & { idle: boolean; touch: () => Promise<void> };

async function holderOfSession(db: OrmDatabase, session: string, query: HolderQuery): Promise<Found | undefined> {
  const holder = await findSessionHolder(db, session, query);
  if (!holder) return undefined;
  return {
    actor: personActor({ ...holder, session }),
    until: holder.until ?? Infinity,
    idle: holder.idle,
    touch: () => touchSession(db, session, query.now),
  };
}

async function holderOfKey(db: OrmDatabase, key: string, query: HolderQuery): Promise<Found | undefined> {
  const holder = await findKeyHolder(db, key, query);
  if (!holder) return undefined;
  const { account, until, idle } = holder;
  return {
    actor: account === null ? keyActor(holder) : personKeyActor({ ...holder, account }),
    until: until ?? Infinity,
    idle,
    touch: () => touchApiKey(db, holder.id),
  };
}

/** The token of an Authorization header; undefined without one. @throws Problem unauthenticated for anything but Bearer */
export function bearer(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = /^Bearer +(\S+) *$/i.exec(header);
  if (!match) throw unauthenticated();
  return match[1];
}
