import { isObject, type Json } from '../../domain/json.ts';

/** Of what is derived from a value, only that which would be accepted as a secret. Characters. */
const MIN_PART = 8;
/** Texts inside of a secret that is JSON. */
const MAX_PARTS = 20;

/** What of a secret may come back from those it was sent to: the value, what is inside of it, and how others may read either. */
export const textsOf = (value: string): string[] => [...new Set([value, ...partsOf(value)].flatMap(spellings))];

/** Credentials inside: of basic authentication, and of a key file that is JSON. */
function partsOf(value: string): string[] {
  const plain = fromBase64(value);
  const password = plain?.slice(plain.indexOf(':') + 1);
  const found = [plain, password, ...textsIn(parsed(value)).slice(0, MAX_PARTS)];
  return found.filter((part) => part !== undefined && part.length >= MIN_PART) as string[];
}

/** The text that it is the base64 of. */
function fromBase64(value: string): string | undefined {
  const text = value.trim();
  if (!/^[\w+/-]{8,}={0,2}$/.test(text)) return undefined;
  const plain = Buffer.from(text, 'base64').toString();
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S}\s]+$/u.test(plain) && !plain.includes('\uFFFD') ? plain : undefined;
}

function parsed(value: string): Json {
  if (!/^\s*[[{]/.test(value)) return null;
  try {
    return JSON.parse(value) as Json;
  } catch {
    return null;
  }
}

function textsIn(value: Json): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return isObject(value) ? Object.values(value).flatMap(textsIn) : [];
}

/** Cut as header fields are, normalised, with other line ends, or read in another encoding than they were written in. */
const spellings = (text: string): string[] => [
  text,
  text.trim(),
  text.normalize('NFC'),
  text.normalize('NFD'),
  text.replaceAll(/\r?\n/g, '\r\n'),
  Buffer.from(text, 'latin1').toString('utf8'),
  Buffer.from(text, 'utf8').toString('latin1'),
];
