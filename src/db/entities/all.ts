import { Account } from './account.entity.ts';
import { ApiKey } from './apiKey.entity.ts';
import { Audit } from './audit.entity.ts';
import { Membership } from './membership.entity.ts';
import { Workspace } from './workspace.entity.ts';

export const entities = [Account, ApiKey, Audit, Membership, Workspace];
