import type { Archives } from '../../providers/archive/archives.ts';
import type { ObjectStore } from '../../providers/objectStore/objectStore.ts';
import type { Syntax } from '../../providers/syntax/syntax.ts';
import { createArtifactList, createArtifactRead, createArtifactWrite } from './artifact.ts';
import { createCommand, type CommandDeps } from './command.ts';
import type { Executors } from './executor.ts';
import { createHttp } from './http.ts';
import { createCollect, createPartitions, createRecords, createSweep, type MaintenanceDeps } from './maintenance.ts';
import { createNotify, type NotifyDeps } from './notify.ts';
import { createPersonErase } from './personErase.ts';
import { createPersonExport, type PersonExportDeps } from './personExport.ts';
import { createRender } from './render.ts';
import type { RecordArtifact } from './storedArtifact.ts';
import { createValidate } from './validate.ts';
import { createWorkspaceDelete, createWorkspaceStop } from './workspaceClose.ts';

export type ExecutorDeps = Omit<MaintenanceDeps, 'objects'> &
  Omit<PersonExportDeps, 'objects'> &
  NotifyDeps &
  CommandDeps & {
    objects: ObjectStore;
    archives: Archives;
    syntax: Pick<Syntax, 'check'>;
    recordArtifact: RecordArtifact;
  };

/** By kind. What the engine evaluates itself (transform, assert, switch, wait) is not here. */
export function createExecutors(deps: ExecutorDeps): Executors {
  return {
    render: createRender(deps),
    validate: createValidate(deps),
    'artifact.list': createArtifactList(deps),
    'artifact.read': createArtifactRead(deps),
    'artifact.write': createArtifactWrite(deps),
    http: createHttp(deps),
    notify: createNotify(deps),
    command: createCommand(deps),
    'maintenance.partitions': createPartitions(deps),
    'maintenance.records': createRecords(deps),
    'retention.sweep': createSweep(deps),
    'artifacts.collect': createCollect(deps),
    'people.export': createPersonExport(deps),
    'people.erase': createPersonErase(deps),
    'workspaces.stop': createWorkspaceStop(deps),
    'workspaces.delete': createWorkspaceDelete(deps),
  };
}
