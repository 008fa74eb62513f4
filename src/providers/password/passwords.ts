import { randomBytes } from 'node:crypto';
import { hash, parseOptions, verify } from '@node-rs/argon2';
import { normalisePassword } from '../../domain/account/password.ts';
import { Problem } from '../../domain/problem.ts';

export type PasswordSettings = {
  /** Of one hash, KiB. */
  memoryKiB: number;
  passes: number;
  lanes: number;
  /** Hashes computed at once, each on a thread of its own. */
  concurrent: number;
  /** Hashes that may wait for a thread; more are refused. */
  queued: number;
};

export type Passwords = {
  /** A PHC string of Argon2id. @throws Problem overloaded */
  hash: (password: string) => Promise<string>;
  /**
   * Whether the password is that of the hash. Without a hash (nobody has that name, or no password) as much is computed.
   * @returns outdated: it matches, and should be hashed again with today's cost @throws Problem overloaded
   */
  verify: (encoded: string | null, password: string) => Promise<{ matches: boolean; outdated: boolean }>;
};

const RETRY_MS = 1_000;

/** Hashing of passwords, away from the event loop. @param counted is told of each hash that is computed */
export function createPasswords(settings: PasswordSettings, counted: (what: 'hash' | 'verify') => void = () => undefined): Passwords {
  const cost = { memoryCost: settings.memoryKiB, timeCost: settings.passes, parallelism: settings.lanes };
  const place = createPlaces(settings);
  // begun at the first use, so that the first unknown name waits no longer than the first known one
  const nobody = lazily(() => hash(randomBytes(16), cost));
  return {
    hash: (password) =>
      place(() => {
        counted('hash');
        return hash(normalisePassword(password), cost);
      }),
    verify: async (encoded, password) => {
      const against = await nobody();
      const matches = await place(() => {
        counted('verify');
        return verify(encoded ?? against, normalisePassword(password));
      });
      return { matches: matches && encoded !== null, outdated: matches && encoded !== null && isOutdated(encoded, settings) };
    },
  };
}

function isOutdated(encoded: string, settings: PasswordSettings): boolean {
  const { memoryCost, timeCost, parallelism } = parseOptions(encoded);
  return memoryCost < settings.memoryKiB || timeCost < settings.passes || parallelism < settings.lanes;
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** So many at once, so many that wait in turn. */
function createPlaces({ concurrent, queued }: Pick<PasswordSettings, 'concurrent' | 'queued'>) {
  const waiting: (() => void)[] = [];
  let busy = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (busy >= concurrent) {
      if (waiting.length >= queued)
        throw new Problem('overloaded', { detail: 'Too many passwords wait to be hashed', retryAfterMs: RETRY_MS });
      await new Promise<void>((begin) => waiting.push(begin));
    } else busy += 1;
    try {
      return await work();
    } finally {
      // the place is handed on
      const next = waiting.shift();
      if (next) next();
      else busy -= 1;
    }
  };
}
