import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { canonicalJson } from '../domain/definition/canonical.ts';
import type { JsonObject } from '../domain/json.ts';
import { compile } from '../domain/plan/compile.ts';
import { countedTasks } from '../domain/plan/phases.ts';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import { priorityNumber } from '../domain/run/priority.ts';
import type { Database } from './pool.ts';
import { storeDefinition } from './repositories/definitions.ts';
import type { Submit } from './submit.ts';

const ACTOR = 'system';

/**
 * A run of a file of src/definitions, checked like any other and stored as the newest version that the system workspace has of it.
 * @param of.key under which it is one run, however often it is submitted
 */
export async function systemRun(db: Database, of: { file: string; key: string; input?: JsonObject }): Promise<Submit> {
  const source = await readFile(new URL(`../definitions/${of.file}.yaml`, import.meta.url), 'utf8');
  const { readDefinition } = await import('../domain/definition/read.schema.ts'); // a process boots without it
  const read = readDefinition(source, 'yaml');
  if (!('definition' in read)) throw new Error(`src/definitions/${of.file}.yaml: ${JSON.stringify(read.issues)}`);
  const { definition } = read;
  const plan = compile(definition);
  const body = canonicalJson(plan);
  const hash = (text: string) => createHash('sha256').update(text).digest();
  const stored = await storeDefinition(db, {
    ...{ workspace: SYSTEM_WORKSPACE, name: definition.name, version: definition.version, title: definition.title, by: ACTOR },
    ...{ hash: hash(canonicalJson(definition)), source, mediaType: 'application/yaml', plan: { hash: hash(body), body } },
  });
  const input = of.input === undefined ? undefined : canonicalJson(of.input);
  return {
    ...{ workspace: SYSTEM_WORKSPACE, principal: ACTOR, createdBy: ACTOR, key: of.key },
    ...{ requestHash: hash(definition.name + (input ?? '')), definition: definition.name, definitionNumber: stored.number },
    ...{ plan: { hash: hash(body), body }, tasks: countedTasks(plan.graph), priority: priorityNumber('low'), labels: {}, artifacts: [] },
    ...(input !== undefined && { input }),
  };
}
