import { Problem, type Issue } from './problem.ts';

/** What is wrong with the fields of a request: all of it in one problem. */
export const invalidRequest = (issues: Issue[]): Problem =>
  new Problem('invalid_request', {
    detail: issues.length === 1 ? `${issues[0]?.pointer ?? ''}: ${issues[0]?.message ?? ''}` : `${issues.length} faults`,
    issues,
  });

/** The one field of a request that is wrong. @param pointer JSON pointer (RFC 6901) into the body; that of another part begins with its name, as `/query` */
export const invalidField = (pointer: string, message: string, code = 'invalid_value'): Problem =>
  invalidRequest([{ pointer, code, message }]);
