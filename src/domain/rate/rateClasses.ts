/**
 * What a request or a try is counted as, and by which setting it is bounded. `exact`: counted in the database before any work,
 * so that no more than the limit ever pass; the others are spent from tokens that a process has taken ahead.
 */
export const RATE_CLASSES = {
  read: { setting: 'TIU_RATE_READ', exact: false },
  write: { setting: 'TIU_RATE_WRITE', exact: false },
  heavy: { setting: 'TIU_RATE_HEAVY', exact: false },
  batch: { setting: 'TIU_RATE_BATCH', exact: false },
  upload: { setting: 'TIU_RATE_UPLOAD', exact: false },
  delivery: { setting: 'TIU_RATE_DELIVERY', exact: false },
  public: { setting: 'TIU_RATE_PUBLIC', exact: false },
  auth: { setting: 'TIU_RATE_AUTH', exact: true },
  login: { setting: 'TIU_RATE_LOGIN', exact: true },
  code: { setting: 'TIU_RATE_CODE', exact: true },
  reset: { setting: 'TIU_RATE_RESET', exact: true },
} as const;

export type RateClass = keyof typeof RATE_CLASSES;

/** What a route costs; `none` is never refused: how the process is must stay visible. */
export type RouteCost = RateClass | 'none';

/** Whose requests are counted together: the word before the colon of a key, such as `user:<id>` or `network:2001:db8::/64`. */
const RATE_HOLDERS = ['user', 'key', 'account', 'network'] as const;
type RateHolder = (typeof RATE_HOLDERS)[number];

/** At most `limit` at once and `limit` in `seconds` in the long run. `name` is what clients see. */
export type RatePolicy = { name: string; limit: number; seconds: number };

export type RatePolicies = ReadonlyMap<string, RatePolicy>;

const POLICY = /^(user|key|account|network)=(\d{1,9})\/(\d{1,6})$/;

/**
 * Reads `user=600/60,network=6000/60`: so many in so many seconds, by whom; who is not named has no limit.
 * @throws Error that names an entry which is none
 */
export function readPolicies(name: RateClass, text: string): RatePolicies {
  const entries = text.split(',').flatMap((entry) => (entry.trim() === '' ? [] : [entry.trim()]));
  return new Map(
    entries.map((entry) => {
      const [, holder = '', limit = '', seconds = ''] = POLICY.exec(entry) ?? [];
      if (holder === '' || Number(limit) === 0 || Number(seconds) === 0)
        throw new Error(`${RATE_CLASSES[name].setting}: not like user=600/60: ${entry}`);
      return [holder, { name: `${name}-${holder}`, limit: Number(limit), seconds: Number(seconds) }];
    }),
  );
}

/** Who is counted under a key. What begins with no word of the list is somebody's account, known or not. */
export function holderOf(key: string): RateHolder {
  const word = key.slice(0, key.indexOf(':'));
  return RATE_HOLDERS.find((holder) => holder === word) ?? 'account';
}
