import type { Client } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes, type SearchAttributePair } from '@temporalio/common';

const workspaceKey = defineSearchAttributeKey('TiuWorkspace', 'KEYWORD');
const definitionKey = defineSearchAttributeKey('TiuDefinition', 'KEYWORD');
const parentKey = defineSearchAttributeKey('TiuParent', 'KEYWORD');
const priorityKey = defineSearchAttributeKey('TiuPriority', 'INT');

/** temporal.api.enums.v1.IndexedValueType */
const KEYWORD = 2;
const INT = 3;
const WANTED: Record<string, number> = { TiuWorkspace: KEYWORD, TiuDefinition: KEYWORD, TiuParent: KEYWORD, TiuPriority: INT };

/** Set at start only: each later change would cost a run an event. */
export function searchAttributesOf(run: {
  workspace: string;
  definition: string;
  priority: number;
  parent?: string;
}): TypedSearchAttributes {
  const pairs: SearchAttributePair[] = [
    { key: workspaceKey, value: run.workspace },
    { key: definitionKey, value: run.definition },
    { key: priorityKey, value: run.priority },
  ];
  if (run.parent !== undefined) pairs.push({ key: parentKey, value: run.parent });
  return new TypedSearchAttributes(pairs);
}

/** Registers what is missing; safe to repeat. An attribute that is not registered refuses every start that carries it. */
export async function registerSearchAttributes(client: Client, namespace: string): Promise<void> {
  const { operatorService } = client.connection;
  const have = (await operatorService.listSearchAttributes({ namespace })).customAttributes;
  const missing = Object.fromEntries(Object.entries(WANTED).filter(([name]) => !(name in have)));
  if (Object.keys(missing).length > 0) await operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
}
