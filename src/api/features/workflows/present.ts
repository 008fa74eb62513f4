import type { Plan } from '../../../domain/plan/plan.ts';
import { tellStrategy } from '../../../domain/plan/strategy.ts';
import type { DefinitionRow } from '../../../db/repositories/definitions.ts';
import { iso } from '../../time.ts';

export function presentWorkflow(row: DefinitionRow) {
  const self = `/api/v1/workflows/${row.name}`;
  return {
    name: row.name,
    number: row.number,
    version: row.version,
    title: row.title,
    hash: row.hash,
    createdAt: iso(row.created),
    createdBy: row.created_by,
    links: { self, versions: `${self}/versions`, execute: `${self}/execute` },
  };
}

const CLASSES = ['inline', 'effect', 'control'] as const;

export const presentPlan = (plan: Plan) => ({
  ...tellStrategy(plan),
  tasks: plan.tasks.map((task, index) => ({
    id: task.id,
    kind: task.kind,
    class: CLASSES[plan.graph.classes[index] ?? 0] ?? 'inline',
    dependsOn: (plan.graph.deps[index] ?? []).map(([dependency]) => plan.graph.names[dependency] ?? ''),
    mapped: task.map !== undefined,
  })),
});
