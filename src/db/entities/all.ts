import { ApiKey } from './apiKey.entity.ts';
import { Audit } from './audit.entity.ts';
import { Workspace } from './workspace.entity.ts';

export const entities = [ApiKey, Audit, Workspace];
