import { Problem } from '../../domain/problem.ts';
import { QUOTAS, type QuotaName } from '../../domain/quota/quotas.ts';

/** Says which quota, how much of it there is, and how much there may be. */
export const quotaExceeded = (name: QuotaName, { used, max }: { used: number; max: number }): Problem =>
  new Problem('quota_exceeded', { detail: `The workspace has ${used} of ${max} ${QUOTAS[name].what}`, data: { quota: name, used, max } });
