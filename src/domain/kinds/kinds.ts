import { activity } from './activity.ts';
import { approval } from './approval.ts';
import { artifactList } from './artifactList.ts';
import { artifactRead } from './artifactRead.ts';
import { artifactWrite } from './artifactWrite.ts';
import { assert } from './assert.ts';
import { command } from './command.ts';
import { event } from './event.ts';
import { http } from './http.ts';
import type { Kind } from './kind.ts';
import { artifactsCollect, maintenancePartitions, maintenanceRecords, retentionSweep } from './maintenance.ts';
import { notify } from './notify.ts';
import { peopleErase, peopleExport } from './people.ts';
import { render } from './render.ts';
import { switchKind } from './switch.ts';
import { transform } from './transform.ts';
import { validate } from './validate.ts';
import { wait } from './wait.ts';
import { workflow } from './workflow.ts';
import { workspacesDelete, workspacesStop } from './workspaces.ts';

/** Every kind there is, by name. */
export const KINDS: Readonly<Record<string, Kind>> = Object.fromEntries(
  [
    ...[transform, assert, switchKind, render, validate, artifactList, artifactRead, artifactWrite, http, notify, command, wait],
    ...[event, approval, workflow, activity],
    ...[maintenancePartitions, maintenanceRecords, retentionSweep, artifactsCollect],
    ...[peopleErase, peopleExport, workspacesStop, workspacesDelete],
  ].map((kind: Kind) => [kind.name, kind]),
);
