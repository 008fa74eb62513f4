import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../src/domain/json.ts';

/** A secret, the task that uses it, and how that task ends. */
export type Canary = { name: string; value: string; needles: string[]; task: JsonObject; status: 'completed' | 'failed' | 'timed_out' };

/** 16 letters that no id, hash or number has. */
const coreOf = (name: string): string =>
  [...createHash('sha256').update(name).digest().subarray(0, 16)].map((byte) => 'ghijklmnopqrstuv'[byte % 16]).join('');

const inner = (text: string, before: number): string =>
  Buffer.from('\0'.repeat(before) + text)
    .toString('base64')
    .replaceAll('=', '')
    .slice(before === 0 ? 0 : before + 1, -2);

/** Half of it is a leak as well; so is base64, wherever it begins. */
function needlesOf(core: string): string[] {
  const halves = [core.slice(0, 8), core.slice(8)];
  return [...halves, ...halves.flatMap((half) => [0, 1, 2].map((before) => inner(half, before))), Buffer.from(core).toString('hex')];
}

type Spec = {
  value?: (core: string) => string;
  path: string;
  with: (use: string) => JsonObject;
  more?: JsonObject;
  status?: Canary['status'];
  needles?: (core: string) => string[];
};

const inHeader = (use: string): JsonObject => ({ headers: { 'x-key': use } });
const inBody = (use: Json): JsonObject => ({ method: 'POST', body: use });
const asText = (use: string): JsonObject => ({ ...inBody(use), as: 'text' });
const digitsOf = (core: string): string => String(Number.parseInt(createHash('md5').update(core).digest('hex').slice(0, 12), 16) + 1e14);

const SPECS: Record<string, Spec> = {
  header: { path: '/echo', with: inHeader },
  bearer: { path: '/echo', with: (use) => ({ headers: { authorization: `Bearer ${use}` } }) },
  wholeBody: { path: '/echo', with: inBody },
  field: { path: '/echo', with: (use) => inBody({ deep: [{ key: use }] }) },
  joined: { path: '/echo', with: (use) => inBody(`before ${use}, between ${use} after`) },
  unicode: { value: (core) => `ключ-${core}-😀é`, path: '/echo', with: inBody },
  unicodeAscii: { value: (core) => `пароль${core}ü/<b>`, path: '/ascii', with: inBody },
  latinHeader: { value: (core) => `clé-${core}`, path: '/header', with: inHeader },
  escaped: { value: (core) => `"${core}\\\n\t"`, path: '/echo', with: inBody },
  basic: {
    value: (core) => Buffer.from(`user:${core}`).toString('base64'),
    path: '/basic',
    with: (use) => ({ headers: { authorization: `Basic ${use}` } }),
  },
  cookie: { path: '/header', with: inHeader },
  encoded: { path: '/base64', with: inBody },
  form: { value: (core) => `${core} &=/ü'`, path: '/form', with: inBody },
  fieldName: { path: '/key', with: inHeader },
  pin: { value: digitsOf, path: '/number', with: inHeader, needles: (core) => [digitsOf(core)] },
  keyFile: { value: (core) => JSON.stringify({ id: 1, private_key: `-----${core}\n-----` }, null, 2), path: '/echo', with: inBody },
  malformed: { path: '/malformed', with: inBody, status: 'failed' },
  largeMalformed: { path: '/largeMalformed', with: inBody, status: 'failed' },
  largeJson: { value: (core) => `ö"${core}"`, path: '/largeJson', with: inBody },
  largeText: { value: (core) => `ö"${core}"`, path: '/largeText', with: asText },
  artifact: { path: '/largeText', with: (use) => ({ ...inBody(use), as: 'artifact' }) },
  pieces: { path: '/pieces', with: asText },
  refused: { value: (core) => `<"${core}">`, path: '/refused', with: inHeader, status: 'failed' },
  edge: { path: '/edge', with: inBody, status: 'failed' },
  retried: { path: '/again', with: inBody, more: { retry: { limit: 2, delay: 'PT0.1S', backoff: 1 } } },
  reset: { path: '/reset', with: inHeader, status: 'failed' },
  cutOff: { path: '/cut', with: inHeader, status: 'failed' },
  late: { path: '/hang', with: inHeader, more: { timeout: 'PT1S' }, status: 'timed_out' },
  noHeader: { value: (core) => `${core}\n${core}`, path: '/echo', with: inHeader, status: 'failed' },
  schema: {
    path: '/key',
    with: inHeader,
    more: { output: { schema: { properties: { body: { additionalProperties: false } } } } },
    status: 'failed',
  },
  items: { path: '/echo', with: (use) => inHeader(`${use}-\${n}`), more: { map: { items: [1, 2, 3], as: 'n' } } },
  failingItems: { path: '/refused', with: inHeader, more: { map: { items: [1, 2], as: 'n' } }, status: 'failed' },
};

export const canaries = (receiver: string): Canary[] =>
  Object.entries(SPECS).map(
    ([name, { value = (core: string) => `k-${core}`, path, with: fields, more, status = 'completed', needles = needlesOf }]) => {
      const core = coreOf(name);
      const task = { type: 'http', onError: 'continue', with: { url: `${receiver}${path}`, ...fields(`\${secrets.${name}}`) }, ...more };
      return { name, value: value(core), needles: needles(core), task, status };
    },
  );
