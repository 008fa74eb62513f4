import type { Database } from '../../db/database.ts';
import { erasePerson, isEraseStep } from '../../db/erasure.ts';
import { findRequest } from '../../db/personRequests.ts';
import { countsOf } from '../../db/retention.ts';
import { keptOfPerson } from '../../domain/account/personalData.ts';
import { Problem } from '../../domain/problem.ts';
import type { Executor } from './executor.ts';
import { sweeperOf, systemOnly } from './systemOnly.ts';

/** Removes a part of what is kept of a person, and says how many rows of each table; the last part says what stays, and why. */
export const createPersonErase = ({ db }: { db: Pick<Database, 'rows' | 'pool'> }): Executor =>
  systemOnly(async ({ request: id, step }, execution) => {
    const request = typeof id === 'string' ? await findRequest(db, id) : undefined;
    const sweeper = sweeperOf(execution);
    if (request?.kind !== 'erase' || !isEraseStep(step) || !(await erasePerson(db, { account: request.account, step }, sweeper)))
      throw new Problem('not_found', { detail: 'Nobody has asked for this' });
    return { removed: await countsOf(db, sweeper), ...(step === 'names' && { kept: keptOfPerson() }) };
  });
