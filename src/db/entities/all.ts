import { ApiKey } from './apiKey.entity.ts';
import { Workspace } from './workspace.entity.ts';

export const entities = [ApiKey, Workspace];
