import { z } from 'zod';
import { Issue, listOf, page, sha256Text, strategyReason, strategyUsed, time, workflowName } from '../../schemas.ts';

export const Workflow = z
  .object({
    name: workflowName,
    number: z.int().meta({ description: 'Counts the stored versions of a name from 1' }),
    version: z.string().nullable().meta({ description: 'As the definition says' }),
    title: z.string().nullable(),
    hash: sha256Text.meta({ description: 'Of the canonical form of the definition' }),
    createdAt: time,
    createdBy: z.string(),
    links: z.object({ self: z.string(), versions: z.string(), execute: z.string() }),
  })
  .meta({ id: 'Workflow' });
export const WorkflowDetail = Workflow.extend({ source: z.string(), mediaType: z.string() }).meta({ id: 'WorkflowDetail' });
export const WorkflowList = listOf(Workflow).meta({ id: 'WorkflowList' });

export const Check = z
  .object({
    valid: z.boolean(),
    issues: z.array(Issue),
    hash: sha256Text.nullable(),
    plan: z
      .object({
        strategyUsed,
        strategyReason,
        tasks: z.array(
          z.object({
            id: z.string(),
            kind: z.string(),
            class: z.enum(['inline', 'effect', 'control']),
            dependsOn: z.array(z.string()),
            mapped: z.boolean(),
          }),
        ),
      })
      .nullable(),
    prediction: z.record(z.string(), z.unknown()).nullable(),
  })
  .meta({ id: 'Check' });

export const DefinitionBody = z
  .union([
    z.strictObject({ definition: z.union([z.record(z.string(), z.unknown()), z.string().min(1)]) }),
    z.record(z.string(), z.unknown()),
  ])
  .meta({ id: 'DefinitionBody', description: 'The definition itself, or `{ definition }` with it as an object or as YAML text' });

export const nameParams = z.object({ name: z.string() });
export const pageQuery = z.strictObject(page);
export const versionQuery = z.strictObject({ version: z.string().min(1).max(100).optional() });
