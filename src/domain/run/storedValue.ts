import { isObject, type Json } from '../json.ts';

/** What stands in a row for a value that is kept as an object: `{ "tiu:object": [sha256, bytes] }`. */
const KEY = 'tiu:object';
const MARK = `{"${KEY}":["`;

/** A JSON value that lies in the object store as its own text, and is handed on without being read. */
export class StoredValue {
  readonly sha256: string;
  /** Bytes of its JSON text. */
  readonly size: number;

  constructor(sha256: string, size: number) {
    this.sha256 = sha256;
    this.size = size;
  }

  toJSON(): Json {
    return { [KEY]: [this.sha256, this.size] };
  }
}

/** Values that hold stored ones are of this type all the same: only what asks for stored values ever meets them. */
export const asJson = (stored: StoredValue): Json => stored as unknown as Json;
export const isStored = (value: unknown): value is StoredValue => value instanceof StoredValue;

/** Every stored value inside. */
export function storedIn(value: Json): StoredValue[] {
  if (isStored(value)) return [value];
  if (Array.isArray(value)) return value.flatMap(storedIn);
  return isObject(value) ? Object.values(value).flatMap(storedIn) : [];
}

export type Encoded = {
  text: string;
  parts: StoredValue[];
  /** `text` can be read back: no data of a user looks like a mark. */ exact: boolean;
};

/** JSON text in which stored values are marks. */
export function encode(value: Json): Encoded {
  const text = JSON.stringify(value);
  if (!text.includes(MARK)) return { text, parts: [], exact: true };
  const parts = storedIn(value);
  return { text, parts, exact: text.split(MARK).length - 1 === parts.length };
}

/** The whole JSON text in order: what is here as text, what is stored as it is. */
export function* piecesOf(value: Json): Generator<string | StoredValue> {
  if (isStored(value)) yield value;
  else if (storedIn(value).length === 0) yield JSON.stringify(value);
  else if (Array.isArray(value)) {
    for (const [i, entry] of value.entries()) {
      yield i === 0 ? '[' : ',';
      yield* piecesOf(entry);
    }
    yield ']';
  } else if (isObject(value)) {
    for (const [i, [key, entry]] of Object.entries(value).entries()) {
      yield `${i === 0 ? '{' : ','}${JSON.stringify(key)}:`;
      yield* piecesOf(entry);
    }
    yield '}';
  }
}

/** The value of a text that `encode` called exact. */
export function revive(value: Json): Json {
  if (Array.isArray(value)) return value.map(revive);
  if (!isObject(value)) return value;
  const mark = value[KEY];
  if (Array.isArray(mark) && typeof mark[0] === 'string' && typeof mark[1] === 'number') return asJson(new StoredValue(mark[0], mark[1]));
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, revive(entry)]));
}

/** The value with every stored one replaced by what `read` gives for it. */
export async function filled(value: Json, read: (stored: StoredValue) => Promise<Json>): Promise<Json> {
  if (isStored(value)) return read(value);
  if (storedIn(value).length === 0) return value;
  if (Array.isArray(value)) return Promise.all(value.map((entry) => filled(entry, read)));
  if (!isObject(value)) return value;
  const entries = await Promise.all(Object.entries(value).map(async ([key, entry]) => [key, await filled(entry, read)] as const));
  return Object.fromEntries(entries);
}
