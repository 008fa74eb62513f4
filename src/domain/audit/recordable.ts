import { isObject, type Json, type JsonObject } from '../json.ts';

/**
 * Fields whose text the audit may keep. Of all others it says that there was one: a list of what may be shown forgets nothing that
 * must not be. Numbers, booleans and null tell no secrets and are always kept. Names, mail addresses and other data of people are
 * not in the list: the audit cannot be changed, so nobody could be erased from it.
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

/** Stands for a text that is not kept. */
const NOT_RECORDED = '[not recorded]';
/** Characters of one text. */
const MAX_TEXT = 1_000;
const MAX_DEPTH = 4;
/** Entries of a list. */
const MAX_LIST = 100;

/** What the audit keeps of values: no secret, no password, no hash of a token, nothing long. */
export const recordable = (values: JsonObject): JsonObject => ofObject(values, 0);

function ofObject(values: JsonObject, depth: number): JsonObject {
  const entries = Object.entries(values).map(([name, value]): [string, Json] => [name, ofValue(value, FIELDS.has(name), depth)]);
  return Object.fromEntries(entries);
}

function ofValue(value: Json, shown: boolean, depth: number): Json {
  if (typeof value === 'string') return shown ? value.replaceAll('\0', '').slice(0, MAX_TEXT) : NOT_RECORDED;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === MAX_DEPTH) return NOT_RECORDED;
  if (isObject(value)) return ofObject(value, depth + 1);
  return value.slice(0, MAX_LIST).map((entry) => ofValue(entry, shown, depth + 1));
}
