import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'socket.io-client';
import { createApiKey } from '../../../src/db/repositories/apiKeys.ts';
import { TOPICS, type TopicKind } from '../../../src/api/realtime/topics.ts';
import { ROLES, ruleOf, SCOPES } from '../../../src/domain/access/actions.ts';
import { aSocket, ask } from '../../realtime/aSubscriber.ts';
import type { TestApi } from '../anApi.ts';

/** Every topic of sockets for everybody: what `docs/rights.md` says of them. */
export const KINDS = Object.keys(TOPICS) as TopicKind[];
const WHOSE = ['own', 'of the workspace', 'of another workspace', 'missing'] as const;
export type Whose = (typeof WHOSE)[number];

type Side = Pick<TestApi['owner'], 'key' | 'workspace'>;
type Person = { role: string; account: string; token: string };
type World = { api: TestApi; people: readonly Person[]; stranger: Person };

const definition = { dsl: 'tiu/1', name: 'topics', tasks: { ask: { type: 'approval', with: { message: 'Go on?' } } } };
const rows = (api: TestApi, text: string, values: readonly unknown[]) => api.deps.engine.rows({ name: '', text, values });

/** Ids of what topics are about, made in the workspace of a side, by a person where that is said. A kind without one does not compile. */
const MAKERS: { readonly [K in TopicKind]: (api: TestApi, side: Side, by?: Person) => Promise<string> } = {
  run: async (api, { key }, by) => {
    const runId = randomUUIDv7();
    const { status, text } = await api.call('POST', '/api/v1/runs', { key, body: { definition, runId } });
    if (status !== 202) throw new Error(text);
    if (by) await rows(api, 'update run set created_by = $2 where id = $1', [runId, `user:${by.account}`]);
    return runId;
  },
  workspace: (_api, { workspace }) => Promise.resolve(workspace),
  project: async (api, { key }, by) => {
    const body = { name: `p-${randomUUID().slice(0, 8)}` };
    const { id } = (await api.call('POST', '/api/v1/projects', { key, body })).body as { id: string };
    if (by) await rows(api, 'update project set created_by = $2 where id = $1', [id, `user:${by.account}`]);
    return id;
  },
};

/** A topic, as seen from the owner's workspace. */
export async function topicOf(api: TestApi, kind: TopicKind, { whose, by }: { whose: Whose; by?: Person | undefined }): Promise<string> {
  if (whose === 'missing') return `${kind}:${randomUUIDv7()}`;
  const side = whose === 'of another workspace' ? api.stranger : api.owner;
  return `${kind}:${await MAKERS[kind](api, side, whose === 'own' ? by : undefined)}`;
}

/** What the answer to a wish to follow is, without what differs from one to the next. */
export async function answerTo(socket: Socket, topic: string): Promise<string> {
  return JSON.stringify(await ask(socket, 'subscribe', { topic })).replace(/,"requestId":"[^"]+"/, '');
}

export async function connected(api: TestApi, token: string): Promise<Socket> {
  const socket = aSocket(api.url, token);
  await once(socket as unknown as NodeJS.EventEmitter, 'connect');
  return socket;
}

const verdictOf = (answer: string): string => {
  const { ok, problem } = JSON.parse(answer) as { ok: boolean; problem?: { code: string } };
  if (ok) return 'yes';
  return problem?.code === 'forbidden' ? '' : (problem?.code ?? answer);
};

/** Keys: one with the scope of a topic alone, one with all scopes but that. */
export async function keysOf(api: TestApi, kind: TopicKind): Promise<{ with: string; without: string }> {
  const { scope } = ruleOf(TOPICS[kind].action);
  const keyOf = async (scopes: readonly (typeof SCOPES)[number][]) =>
    (await createApiKey(api.deps.engine, { workspace: api.owner.workspace, name: 'k', scopes, by: 'test' })).key;
  return { with: await keyOf([scope]), without: await keyOf(SCOPES.filter((other) => other !== scope)) };
}

/** The table of all topics, a line each for whose what it is about is. */
export async function topicLines({ api, people }: World): Promise<string[]> {
  const lines = [['topic', 'whose', ...ROLES, 'key with its scope', 'key with all others'], Array<string>(ROLES.length + 4).fill('---')];
  for (const kind of KINDS) {
    const keys = await keysOf(api, kind);
    const callers = [...people.map((by) => ({ token: by.token, by })), { token: keys.with }, { token: keys.without }];
    for (const whose of WHOSE) {
      const cells: string[] = [];
      for (const { token, ...caller } of callers) {
        const socket = await connected(api, token);
        cells.push(verdictOf(await answerTo(socket, await topicOf(api, kind, { whose, ...caller }))));
        socket.disconnect();
      }
      lines.push([`\`${kind}:<id>\` (\`${TOPICS[kind].action}\`)`, whose, ...cells]);
    }
  }
  return lines.map((cells) => `| ${cells.join(' | ')} |`);
}
