import type { Order } from '../../db/commands.ts';
import type { RunRow, RunView } from '../../db/repositories/runs.ts';
import type { Deps } from '../deps.ts';
import { loadRunView } from './readRun.ts';

/** Who commands which run. */
export type Commanding = { deps: Deps; actor: { workspace: string; principal: string }; resource: RunRow };

/** Gives a run a command. @returns the run as it stands after that. @throws Problem as `Commands.command` */
export async function commandRun({ deps, actor, resource }: Commanding, order: Order, reason: string | undefined): Promise<RunView> {
  const { workspace, principal } = actor;
  await deps.command({ run: resource.id, workspace, by: principal, ...(reason !== undefined && { reason }), ...order });
  return (await loadRunView({ deps, actor, params: resource })) ?? { ...resource, counts: null };
}

/** What a command is answered with: the run, or the task, as `schema` has it. */
export const commanded = <S>(schema: S) => ({ 202: { description: 'The command is durable and under way', schema } });
