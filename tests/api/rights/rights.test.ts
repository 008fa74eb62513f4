import fs from 'node:fs';
import path from 'node:path';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import { openSession } from '../../../src/api/auth/openSession.ts';
import { TOPICS } from '../../../src/api/realtime/topics.ts';
import type { Route } from '../../../src/api/route.ts';
import { routes } from '../../../src/api/routes.ts';
import { createApiKey } from '../../../src/db/repositories/apiKeys.ts';
import { newKey } from '../../../src/dev/keptIn.ts';
import { ROLES, ruleOf, SCOPES, type Action, type Role } from '../../../src/domain/access/actions.ts';
import { RIGHTS } from '../../../src/domain/access/roles.ts';
import { aSocket } from '../../realtime/aSubscriber.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, grant, signIn } from '../auth/aPerson.ts';
import { makeSomeone, pathTo, sampleOf } from './samples.ts';
import { answerTo, connected, keysOf, KINDS, topicLines, topicOf } from './topics.ts';

/** Every route for every role, as the product answers it. `TIU_WRITE_RIGHTS=1` writes the page that must say the same. */
const PAGE = path.resolve(import.meta.dirname, '../../../docs/rights.md');

/** What an answer says of rights: whatever else is wrong with a request is found out behind them. */
type Verdict = 'yes' | 'no' | 'hidden' | 'unknown';
const verdictOf = (status: number): Verdict => (status === 401 ? 'unknown' : status === 403 ? 'no' : status === 404 ? 'hidden' : 'yes');

type Person = { role: Role; account: string; token: string };

let api: TestApi;
let people: Person[];
let stranger: Person;
beforeAll(async () => {
  api = await anApi({
    ...{ TIU_TOKEN_KEYS: newKey(), TIU_SECRET_KEYS: newKey(), TIU_CODEC_TOKEN: 'of-this-test-alone-and-long' },
    ...{ TIU_MAX_BULK_JOBS: '100000', TIU_MAX_HOOKS: '100000', TIU_MAX_SECRETS: '100000' },
  });
  people = await Promise.all(ROLES.map((role) => aMember(role, api.owner.workspace)));
  stranger = await aMember('owner', api.stranger.workspace);
  await makeSomeone(api);
});
afterAll(() => api.stop());

const rows = (text: string, ...values: unknown[]) => api.deps.db.rows({ name: '', text, values });

/** Somebody with a role in a workspace, signed in. */
async function aMember(role: Role, workspace: string): Promise<Person> {
  const account = randomUUIDv7();
  await rows(
    `insert into account (id, name, name_key, created, created_by) values ($1, $2, $2, now(), 'test')`,
    account,
    `${role}_${account.slice(-12)}`,
  );
  await rows(
    `insert into membership (workspace, account, role, granted_by, granted) values ($1, $2, $3, 'test', now())`,
    workspace,
    account,
    role,
  );
  const { accessToken } = await openSession(api.deps, { account, method: 'password', mfa: false, ip: '127.0.0.1', userAgent: '' });
  return { role, account, token: accessToken };
}

type Asking = { key: string | null; object: { api: TestApi; key: string } | 'none'; own?: Person };

async function ask(route: Route, { key, object, own }: Asking) {
  const { body, raw, headers, query = '' } = sampleOf(route);
  const target = await pathTo(route, object);
  if (own) await make(own, target);
  const answer = await api.call(route.method.toUpperCase(), target + query, {
    key,
    ...(body && { body }),
    ...(raw !== undefined && { raw }),
    ...(headers && { headers }),
  });
  return { ...answer, target };
}

/** Makes the object of a path one that this person has made. */
async function make(person: Person, target: string): Promise<void> {
  const [, id = ''] = /\/(?:runs|tasks|api-keys)\/([0-9a-f-]{36})/.exec(target) ?? [];
  await rows('update run set created_by = $2 where id::text = $1', id, `user:${person.account}`);
  await rows('update api_key set account = $2 where id::text = $1', id, person.account);
}

const page = () => fs.readFileSync(PAGE, 'utf8');
const inOwn = () => ({ api, key: api.owner.key });
const named = (route: Route) => `${route.method.toUpperCase()} ${route.path}`;
const guarded = routes.filter((route) => route.action !== 'public' && route.action !== 'self');
/** Who is let in elsewhere meets this where members of the system workspace act on all workspaces, and on all people. */
const elsewhere = ({ path: where }: Route): Verdict =>
  where.startsWith('/api/v1/users') ? 'hidden' : where.startsWith('/api/v1/workspaces/{id}/') ? 'no' : 'yes';
// whether somebody may leave is not about an object that can be made for it: tests/api/members
const hasOwn = (route: Route) =>
  !route.path.includes('/members/') && ruleOf(route.action as Action).own !== undefined && route.path.includes('{');

async function cellOf(route: Route, person: Person): Promise<string> {
  const { status, text } = await ask(route, { key: person.token, object: inOwn() });
  const verdict = verdictOf(status);
  if (status >= 500) throw new Error(`${named(route)} as ${person.role}: ${status} ${text}`);
  if (verdict === 'yes' || !hasOwn(route)) return verdict;
  const own = verdictOf((await ask(route, { key: person.token, object: inOwn(), own: person })).status);
  return own === 'yes' ? 'own' : verdict;
}

test('who may use which route and topic is what docs/rights.md says', async () => {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines: string[] = [];
  for (const route of guarded) {
    const cells = [];
    for (const person of people) cells.push(await cellOf(route, person));
    lines.push(line([`\`${named(route)}\``, ...cells.map((cell) => (cell === 'no' ? '' : cell))]));
  }
  const text = [
    '# Who may use which route',
    '',
    'Written by `tests/api/rights`, which asks every route as every role (`TIU_WRITE_RIGHTS=1` writes it anew). `own`: for what they have made themselves; nothing: 403.',
    'Nobody without a token gets further than 401, and what is of another workspace is answered byte for byte as what does not exist: the same test sees to both.',
    'Routes for everybody, and those about oneself, are not listed.',
    '',
    line(['route', ...ROLES]),
    line(['---', ...ROLES.map(() => '---')]),
    ...lines,
    '',
    '# Who may follow which topic of a socket',
    '',
    'All topics are listed in `src/api/realtime/topics.ts`. `not_found`: the answer is byte for byte that to a topic which does not exist; nothing: `forbidden`.',
    'Nobody without a token has a socket. A role in a project counts for its topic and its runs. Who loses a right while following loses the socket.',
    '',
    ...(await topicLines({ api, people, stranger })),
    '',
  ].join('\n');
  if (process.env.TIU_WRITE_RIGHTS === '1') fs.writeFileSync(PAGE, text);
  expect(page()).toBe(text);
});

test('that is what the table of actions says', () => {
  for (const route of guarded) {
    const cells =
      /\| `([^`]+)` \| (.*) \|$/
        .exec(
          page()
            .split('\n')
            .find((text) => text.includes(`\`${named(route)}\``)) ?? '',
        )?.[2]
        ?.split(/ \| ?/) ?? [];
    const { role, own } = ruleOf(route.action as Action);
    const least = (name: Role | undefined) => (name === undefined ? Infinity : ROLES.indexOf(name));
    // the two that stand beside each other have what the one below them has
    // lists show to each what they may see
    const shown = own !== undefined && !route.path.includes('{') ? own : role;
    const yes = elsewhere(route) === 'no' ? '' : elsewhere(route);
    const expected = ROLES.map((name) => {
      const rank = (least_: number) =>
        name === 'community_moderator' && least_ === ROLES.indexOf('project_manager') ? false : ROLES.indexOf(name) >= least_;
      if (rank(least(shown))) return yes;
      return rank(least(own)) && hasOwn(route) ? 'own' : '';
    });
    expect({ route: named(route), cells }).toEqual({ route: named(route), cells: expected });
  }
});

test('topics are as the table of actions says', () => {
  const cellsOf = (kind: string, whose: string) =>
    page()
      .split('\n')
      .find((line) => line.startsWith(`| \`${kind}:<id>`) && line.includes(`| ${whose} |`))
      ?.split(' |')
      .map((cell) => cell.replace('|', '').trim());
  for (const kind of KINDS) {
    const may = (yes: string) => [...ROLES.map((name) => (RIGHTS[name].actions.has(TOPICS[kind].action) ? yes : '')), yes, '', ''];
    expect(cellsOf(kind, 'own')?.slice(2)).toEqual(may('yes'));
    expect(cellsOf(kind, 'of the workspace')?.slice(2)).toEqual(may('yes'));
    expect(cellsOf(kind, 'of another workspace')?.slice(2)).toEqual(may('not_found'));
    expect(cellsOf(kind, 'missing')?.slice(2)).toEqual(may('not_found'));
  }
});

test('a topic of another workspace is answered as one that does not exist, and nobody follows without a token', async () => {
  for (const kind of KINDS) {
    const keys = await keysOf(api, kind);
    for (const token of [...people.map((person) => person.token), keys.with, keys.without]) {
      const socket = await connected(api, token);
      const answers = ['of another workspace', 'missing'] as const;
      const [foreign, missing] = await Promise.all(answers.map(async (whose) => answerTo(socket, await topicOf(api, kind, { whose }))));
      expect(foreign).toBe(missing);
      expect(await answerTo(socket, `no-${kind}:${api.owner.workspace}`)).toContain('"not_found"');
      socket.disconnect();
    }
  }
  for (const token of ['', 'nothing']) {
    const [error] = (await once(aSocket(api.url, token) as unknown as NodeJS.EventEmitter, 'connect_error')) as [Error & { data: object }];
    expect(error.data).toMatchObject({ code: 'unauthenticated' });
  }
});

test('a role in a project opens its topic to who has none in the workspace that would', async () => {
  const [project, other] = await Promise.all([0, 1].map(() => topicOf(api, 'project', { whose: 'of the workspace' })));
  const account = await anAccount(api.deps.engine);
  const { workspace } = api.owner;
  await rows(
    `insert into role (workspace, name, actions, created, created_by) values ($1, 'bare', '{member.read}', now(), 'test')`,
    workspace,
  );
  await grant(api.deps.engine, { account, workspace, role: 'bare' });
  const { accessToken } = await signIn(api.deps, account);
  await rows(
    `insert into project_member (workspace, project, account, role, granted_by, granted) values ($1, $2, $3, 'viewer', 'test', now())`,
    ...[workspace, project?.slice('project:'.length), account],
  );
  api.deps.authenticate.forget(`account:${account}`);
  const socket = await connected(api, accessToken);
  expect(await answerTo(socket, project ?? '')).toContain('"ok":true');
  expect(await answerTo(socket, other ?? '')).toContain('"forbidden"');
  expect(await answerTo(socket, `workspace:${workspace}`)).toContain('"forbidden"');
  socket.disconnect();
});

test('nobody is asked who they are in vain: without a token there is 401 and nothing else', async () => {
  for (const route of routes.filter(({ action }) => action !== 'public'))
    expect({ route: named(route), ...(await ask(route, { key: null, object: 'none' })) }).toMatchObject({
      route: named(route),
      status: 401,
    });
});

test('what is of another workspace is answered as what does not exist', async () => {
  for (const route of guarded.filter(({ path: where, method }) => where.includes('{') && method !== 'put')) {
    for (const key of [stranger.token, api.stranger.key]) {
      const [foreign, missing] = [await ask(route, { key, object: inOwn() }), await ask(route, { key, object: 'none' })];
      // what was asked for may be named in the answer: it is all that differs
      const seen = ({ status, text, headers, target }: typeof foreign) => ({
        status,
        text: text.replaceAll(target.split('/')[4] ?? '', 'X').replace(/"requestId":"[^"]+"/, ''),
        type: headers.get('content-type'),
      });
      expect({ route: named(route), ...seen(foreign) }).toEqual({ route: named(route), ...seen(missing) });
      expect(foreign.status).toBe(elsewhere(route) === 'no' ? 403 : 404);
    }
  }
});

test('a key may do what its scope says and nothing else', async () => {
  // only a person gives a workspace away, and nobody hands on rights that they have not, which such a key has none of: tests/api/members
  const handsOn = [
    'member.set',
    'member.remove',
    'role.set',
    'role.delete',
    'invitation.create',
    'project.share',
    'workspace.transfer',
    'workspace.close',
  ];
  for (const route of guarded.filter(({ action }) => !handsOn.includes(action))) {
    const { scope } = ruleOf(route.action as Action);
    const keyOf = (scopes: readonly (typeof SCOPES)[number][]) =>
      createApiKey(api.deps.db, { workspace: api.owner.workspace, name: 'k', scopes, by: 'test' });
    const [only, others] = await Promise.all([keyOf([scope, 'runs:read']), keyOf(SCOPES.filter((other) => other !== scope))]);
    const verdict = async (key: string) => verdictOf((await ask(route, { key, object: inOwn() })).status);
    expect({ route: named(route), only: await verdict(only.key), others: await verdict(others.key) }).toEqual({
      route: named(route),
      only: elsewhere(route),
      others: 'no',
    });
  }
});

test('what is about oneself is for people alone', async () => {
  for (const route of routes.filter(({ action }) => action === 'self')) {
    const { status } = await ask(route, { key: api.owner.key, object: 'none' });
    expect({ route: named(route), status }).toEqual({ route: named(route), status: status === 422 ? 422 : 403 });
  }
});
