import { isObject, type Json } from '../../domain/json.ts';
import type { Failure } from '../../domain/problem.ts';
import { isStored } from '../../domain/run/storedValue.ts';
import type { Unit } from './codings.ts';
import { createFinder, type Finder } from './finder.ts';
import type { Secrets } from './readSecrets.ts';
import { textsOf } from './textsOf.ts';

/** Takes the values of some secrets out of whatever is to be kept or told; `[secret:name]` stands in their place. */
export type Scrubber = {
  text: (text: string) => string;
  /** Names of fields, too. What is stored already was scrubbed on its way there. */
  json: (value: Json) => Json;
  failure: (failure: Failure) => Failure;
  /** In place: its text, its stack and those of its causes. */
  error: (error: unknown) => void;
  bytes: (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;
};

/** undefined: there is nothing to scrub. */
export function createScrubber(secrets: Secrets | undefined): Scrubber | undefined {
  const texts = Object.entries(secrets ?? {})
    .flatMap(([name, value]) => textsOf(value).map((text) => ({ text, label: `[secret:${name}]` })))
    .sort((a, b) => b.text.length - a.text.length); // of two that begin alike the longer one goes first
  if (texts.length === 0) return undefined;
  const soughtAs = (unit: Unit) => texts.map(({ text, label }): Sought => ({ ...createFinder(text, unit), label }));
  const sought = soughtAs('text');
  const text: Replace = (given) => sought.reduce((rest, one) => replaceUntil(rest, 0, one).done, given);
  const json = (value: Json): Json => scrubJson(value, text);
  return {
    text,
    json,
    failure: ({ code, message, data }) => ({ code, message: text(message), ...(data !== undefined && { data: json(data) }) }),
    error: (error) => {
      scrubError(error, text);
    },
    bytes: (chunks) => soughtAs('bytes').reduce((rest, one) => scrubBytes(one, rest), chunks),
  };
}

type Sought = Finder & { label: string };
type Replace = (text: string) => string;

function scrubJson(value: Json, text: Replace): Json {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number') return text(String(value)) === String(value) ? value : text(String(value));
  if (isStored(value)) return value;
  if (Array.isArray(value)) return value.map((entry) => scrubJson(entry, text));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [text(key), scrubJson(entry, text)]));
}

const MAX_CAUSES = 10;

function scrubError(error: unknown, text: Replace): void {
  let at: unknown = error;
  for (let depth = 0; at instanceof Error && depth < MAX_CAUSES; depth++, at = at.cause)
    for (const field of ['message', 'stack'] as const) {
      const given = at[field];
      if (given !== undefined && text(given) !== given)
        Object.defineProperty(at, field, { value: text(given), configurable: true, writable: true });
    }
}

/** Each byte as a character, so that bytes which are no text pass as they are. Wherever the chunks are cut, nothing is missed. */
async function* scrubBytes(sought: Sought, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held = '';
  for await (const chunk of chunks) {
    const { done, rest } = replaceUntil(held + chunk.toString('latin1'), sought.longest, sought);
    held = rest;
    if (done !== '') yield Buffer.from(done, 'latin1');
  }
  const { done } = replaceUntil(held, 0, sought);
  if (done !== '') yield Buffer.from(done, 'latin1');
}

/** A text that is so much like a secret, again and again, that telling them apart takes longer is not told at all. Characters. */
const MAX_LOOKED = 1_000_000;

/** Leaves the last characters, from which on it may go on in what follows. */
function replaceUntil(text: string, left: number, { head, look, label }: Sought): { done: string; rest: string } {
  const until = Math.max(0, text.length - left);
  const pieces: string[] = [];
  let [at, looked] = [0, 0];
  head.lastIndex = 0;
  for (let found = head.exec(text); found !== null && found.index < until; found = head.exec(text)) {
    const seen = look(text, found.index);
    if ('end' in seen) {
      pieces.push(text.slice(at, found.index), label);
      at = head.lastIndex = seen.end;
    } else {
      head.lastIndex = found.index + 1;
      looked += seen.looked;
      if (looked > MAX_LOOKED) return { done: label, rest: '' };
    }
  }
  const from = Math.max(at, until);
  return { done: pieces.join('') + text.slice(at, from), rest: text.slice(from) };
}
