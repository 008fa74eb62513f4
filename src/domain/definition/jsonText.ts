import type { Issue } from '../problem.ts';
import { LIMITS } from './limits.ts';
import { child } from './pointer.ts';
import type { ParsedText } from './parsedText.ts';

class Refused extends Error {
  readonly issue: Issue;
  readonly offset: number;

  constructor(issue: Issue, offset: number) {
    super(issue.message);
    this.issue = issue;
    this.offset = offset;
  }
}

type State = { text: string; at: number; issues: { issue: Issue; offset: number }[]; places: Map<string, number> };

const SPACE = /[ \t\r\n]*/y;
/** Punctuation, text, numbers, words. A control character inside text is left to `JSON.parse`. */
const TOKEN = /[{}[\],:]|"[^"\\]*(?:\\[^][^"\\]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Reads JSON (RFC 8259) and tells what `JSON.parse` hides: keys that are there twice, numbers that would be rounded, and where each value stands. Never throws. */
export function parseJson(text: string): ParsedText {
  const state: State = { text: text.startsWith('\uFEFF') ? ` ${text.slice(1)}` : text, at: 0, issues: [], places: new Map() };
  const place = (offset: number): { line: number; column: number } => placeIn(state.text, offset);
  try {
    const value = readValue(state, '', 0);
    if (state.text.slice(state.at).trim() !== '') refuse(state, 'there is something after the value');
    if (state.issues.length > 0)
      return { issues: state.issues.slice(0, LIMITS.issues).map(({ issue, offset }) => ({ ...issue, ...place(offset) })) };
    return { value, locate: (pointer) => place(offsetOf(state.places, pointer)) };
  } catch (error) {
    if (error instanceof RangeError)
      return { issues: [{ pointer: '', line: 1, column: 1, code: 'too_large', message: 'holds a text that is too long' }] };
    if (error instanceof Refused) return { issues: [{ ...error.issue, ...place(error.offset) }] };
    throw error;
  }
}

function readValue(state: State, at: string, depth: number): unknown {
  if (depth > LIMITS.depth) refuse(state, `is nested more than ${LIMITS.depth} deep`, { code: 'too_deep' });
  if (state.places.size > LIMITS.values) refuse(state, `holds more than ${LIMITS.values} values`, { code: 'too_large' });
  const token = next(state);
  // A member's place is its key, which is known already.
  if (!state.places.has(at)) state.places.set(at, state.at - token.length);
  if (token === '{') return readObject(state, at, depth);
  if (token === '[') return readList(state, at, depth);
  if (/^[}\],:]$/.test(token)) refuse(state, `unexpected ${token}`, { back: token.length });
  return scalarOf(state, token);
}

function scalarOf(state: State, token: string): unknown {
  try {
    return JSON.parse(token);
  } catch {
    return refuse(state, 'is no JSON text: control characters and unknown escapes', { back: token.length });
  }
}

function readObject(state: State, at: string, depth: number): unknown {
  const entries = new Map<string, unknown>();
  for (let token = next(state); token !== '}'; token = next(state)) {
    if (entries.size > 0) {
      if (token !== ',') refuse(state, 'a comma or } is missing', { back: token.length });
      token = next(state);
    }
    if (!token.startsWith('"')) refuse(state, 'a key in quotes is missing', { back: token.length });
    const key = scalarOf(state, token) as string;
    const here = child(at, key);
    const offset = state.at - token.length;
    if (entries.has(key)) state.issues.push({ issue: { pointer: here, code: 'duplicate_key', message: 'the key is there twice' }, offset });
    state.places.set(here, offset);
    if (next(state) !== ':') refuse(state, 'a colon is missing', { back: 1 });
    entries.set(key, readValue(state, here, depth + 1));
  }
  return Object.fromEntries(entries);
}

function readList(state: State, at: string, depth: number): unknown {
  const items: unknown[] = [];
  for (let before = state.at; next(state) !== ']'; before = state.at) {
    if (items.length === 0) state.at = before;
    else if (state.text[state.at - 1] !== ',') refuse(state, 'a comma or ] is missing', { back: 1 });
    items.push(readValue(state, child(at, items.length), depth + 1));
  }
  return items;
}

function next(state: State): string {
  SPACE.lastIndex = state.at;
  SPACE.exec(state.text);
  state.at = TOKEN.lastIndex = SPACE.lastIndex;
  const token = TOKEN.exec(state.text)?.[0];
  if (token === undefined) return refuse(state, state.at >= state.text.length ? 'the text ends too early' : 'is no JSON');
  state.at += token.length;
  return token;
}

function refuse(state: State, message: string, { code = 'syntax', back = 0 }: { code?: string; back?: number } = {}): never {
  throw new Refused({ pointer: '', code, message }, state.at - back);
}

/** The place of the pointer, or of the nearest thing around it. */
function offsetOf(places: ReadonlyMap<string, number>, pointer: string): number {
  for (let at = pointer; ; at = at.slice(0, at.lastIndexOf('/'))) {
    const offset = places.get(at);
    if (offset !== undefined || at === '') return offset ?? 0;
  }
}

function placeIn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - start + 1 };
}
