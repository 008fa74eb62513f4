import { isObject, type Json, type JsonObject } from '../json.ts';

/**
 * Fields whose text the audit may keep. Of all others it says that there was one: a list of what may be shown forgets nothing that
 * must not be. Numbers, booleans and null tell no secrets and are always kept. Mail addresses and other data of people are not in the
 * list: the audit cannot be changed, so nobody could be erased from it. What things are called is kept, what people are called is not.
 */
const FIELDS: ReadonlySet<string> = new Set([
  ...['action', 'actions', 'code', 'id', 'kind', 'method', 'name', 'names', 'reason', 'result', 'status', 'title', 'type', 'version'],
  ...[
    'account',
    'by',
    'definition',
    'device',
    'event',
    'family',
    'grant',
    'hook',
    'hooks',
    'job',
    'limit',
    'membership',
    'object',
    'objects',
  ],
  ...['plugin', 'policy', 'policies', 'principal', 'project', 'projects', 'provider', 'role', 'roles', 'run', 'runs', 'schedule', 'scheme'],
  ...['scope', 'scopes', 'session', 'sessions', 'subject', 'task', 'tasks', 'team', 'teams', 'visibility', 'workflow', 'workspace'],
  ...['at', 'created', 'createdBy', 'expires', 'expiresAt', 'grantedBy', 'granted', 'since', 'until', 'revoked', 'archived', 'deadline'],
  ...['address', 'network', 'route', 'keyId', 'class', 'window', 'filter', 'from', 'to'],
]);

/** Of these, those that are kept of things and not of people: what somebody is called, or calls what is theirs. */
const NAMES: ReadonlySet<string> = new Set(['name', 'names', 'title', 'device']);
/** Kinds of objects that are somebody, or somebody's own. */
const PEOPLE: ReadonlySet<string> = new Set(['user', 'account', 'person', 'member', 'session', 'identity', 'invitation', 'address']);
/** Fields that say who, should there be more than an id. */
const WHO: ReadonlySet<string> = new Set([
  ...PEOPLE,
  'actor',
  'owner',
  'principal',
  'by',
  'createdBy',
  'grantedBy',
  'from',
  'to',
  'people',
  'users',
  'members',
]);

/** Stands for a text that is not kept. */
export const NOT_RECORDED = '[not recorded]';
/** Characters of one text. */
const MAX_TEXT = 1_000;
const MAX_DEPTH = 4;
/** Entries of a list. */
const MAX_LIST = 100;

/**
 * What the audit keeps of values: no secret, no password, no hash of a token, nothing long.
 * @param object what they are of, `<kind>:<id>`
 */
export const recordable = (values: JsonObject, object: string): JsonObject =>
  ofObject(values, { depth: 0, personal: PEOPLE.has(object.slice(0, Math.max(0, object.indexOf(':')))) });

type Place = { depth: number; personal: boolean };

function ofObject(values: JsonObject, { depth, personal }: Place): JsonObject {
  const entries = Object.entries(values).map(([name, value]): [string, Json] => {
    const shown = FIELDS.has(name) && !(personal && NAMES.has(name));
    return [name, ofValue(value, shown, { depth, personal: personal || WHO.has(name) })];
  });
  return Object.fromEntries(entries);
}

function ofValue(value: Json, shown: boolean, { depth, personal }: Place): Json {
  if (typeof value === 'string') return shown ? value.replaceAll('\0', '').slice(0, MAX_TEXT) : NOT_RECORDED;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === MAX_DEPTH) return NOT_RECORDED;
  const place = { depth: depth + 1, personal };
  if (isObject(value)) return ofObject(value, place);
  return value.slice(0, MAX_LIST).map((entry) => ofValue(entry, shown, place));
}
