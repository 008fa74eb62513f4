import { expect } from '@jest/globals';
import type { ProblemCode } from '../../src/domain/problem.ts';

/** What `toThrow` wants, for a problem of this code. */
export const aProblem = (code: ProblemCode, fields: object = {}): Error => expect.objectContaining({ code, ...fields }) as unknown as Error;
