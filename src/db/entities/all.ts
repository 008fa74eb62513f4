import { Workspace } from './workspace.entity.ts';

export const entities = [Workspace];
