import type { Action } from '../../domain/access/actions.ts';
import { can, mayEver, type Actor, type Resource } from '../../domain/access/can.ts';
import { Problem } from '../../domain/problem.ts';
import { findProjectById, type ProjectRow } from '../../db/repositories/projects.ts';
import type { RunRow } from '../../db/repositories/runs.ts';
import { notFound } from '../auth/refusals.ts';
import { UUID } from '../cursor.ts';
import type { Deps } from '../deps.ts';
import { loadRun } from '../runs/readRun.ts';

/** A topic that somebody may follow, and what it is about. */
export type Followed = { kind: 'run'; about: RunRow } | { kind: 'workspace'; about: Resource } | { kind: 'project'; about: ProjectRow };

export type TopicKind = Followed['kind'];
type Asked = { deps: Deps; actor: Actor; id: string };
type Rule<K extends TopicKind> = {
  /** What the caller must be allowed to do to what the topic is about. */
  action: Action;
  /** What a topic is about; undefined = there is none. */
  load: (asked: Asked) => Promise<Extract<Followed, { kind: K }>['about'] | undefined>;
};

/** All topics that sockets can follow, `<kind>:<id>`, and who may: none compiles without a rule. */
export const TOPICS: { readonly [K in TopicKind]: Rule<K> } = {
  run: { action: 'run.read', load: ({ deps, actor, id }) => loadRun({ deps, actor, params: { id } }) },
  workspace: {
    action: 'run.read',
    load: ({ actor, id }) => Promise.resolve(id === actor.workspace ? { workspace: id } : undefined),
  },
  project: {
    action: 'run.read',
    load: ({ deps, actor, id }) =>
      UUID.test(id) ? findProjectById(deps.db, { workspace: actor.workspace, id }) : Promise.resolve(undefined),
  },
};

const isKind = (word: string): word is TopicKind => Object.hasOwn(TOPICS, word);

/**
 * What a topic is about, if the actor may follow it: decided in the order in which requests are (`http/pipeline.ts`), so that what
 * is of another workspace is not told apart from what does not exist, whatever the actor may.
 * @throws Problem not_found | forbidden
 */
export async function authoriseTopic(deps: Deps, actor: Actor, topic: string): Promise<Followed> {
  const colon = topic.indexOf(':');
  const kind = topic.slice(0, Math.max(0, colon));
  if (!isKind(kind)) throw notFound(undefined);
  const { action, load } = TOPICS[kind];
  if (!mayEver(actor, action)) throw new Problem('forbidden');
  const about = await load({ deps, actor, id: topic.slice(colon + 1) });
  if (about?.workspace !== actor.workspace) throw notFound(about);
  if (!can(actor, action, about)) throw new Problem('forbidden');
  return { kind, about } as Followed;
}
