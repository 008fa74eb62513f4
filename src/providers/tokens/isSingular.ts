const HEADER = new Set(['alg', 'typ', 'kid']);
const PART = /^[A-Za-z0-9_-]+$/;

/**
 * Whether a JWT can be read in one way only and has no header but ours. Parsers differ in what they take of a name that
 * stands there twice, and headers such as `crit`, `jku` or `jwk` ask for what we never do. What we sign is JSON as JavaScript
 * writes it, so whatever is written otherwise is not ours.
 */
export function isSingular(token: string): boolean {
  const parts = token.split('.');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || !isCanonical(signature ?? '')) return false;
  const names = namesOf(header);
  return names?.length === HEADER.size && names.every((name) => HEADER.has(name)) && namesOf(payload) !== undefined;
}

const isCanonical = (part: string): boolean => PART.test(part) && Buffer.from(part, 'base64url').toString('base64url') === part;

/** Names of an object; undefined unless it is written as we write it. */
function namesOf(part: string): string[] | undefined {
  if (!isCanonical(part)) return undefined;
  const text = Buffer.from(part, 'base64url').toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && JSON.stringify(value) === text ? Object.keys(value) : undefined;
  } catch {
    return undefined; // no JSON
  }
}
