import { Problem, type ProblemCode } from '../domain/problem.ts';
import { isRefusal } from './connection.ts';

/** What triggers of the schema refuse, whoever writes. */
const REFUSALS: Readonly<Record<string, ProblemCode>> = { TU411: 'last_owner', TU412: 'unknown_role', TU413: 'role_held' };

/** The result of a statement, its refusal by the schema as the problem that it is. @throws Problem last_owner, unknown_role, role_held */
export async function asProblems<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    const code = isRefusal(error) ? REFUSALS[error.code] : undefined;
    throw code ? new Problem(code, { cause: error }) : error;
  }
}
