import type { z } from 'zod';
import { invalidRequest } from '../../domain/invalidRequest.ts';
import type { Issue } from '../../domain/problem.ts';

export type Part = { schema: z.ZodType | undefined; value: unknown; prefix: string };

/**
 * Parses all parts of a request; every fault of all of them in one problem. Pointers into the body are plain, those of
 * other parts begin with `/query` or `/path`.
 * @throws Problem invalid_request
 */
export function validate<const K extends string>(parts: Record<K, Part>): Record<K, unknown> {
  const issues: Issue[] = [];
  const parsed: Partial<Record<K, unknown>> = {};
  for (const name in parts) {
    const { schema, value, prefix } = parts[name];
    const result = schema?.safeParse(value);
    if (result && !result.success) issues.push(...result.error.issues.flatMap((issue) => toIssues(issue, prefix)));
    parsed[name] = result?.success ? result.data : undefined;
  }
  if (issues.length > 0) throw invalidRequest(issues);
  return parsed as Record<K, unknown>;
}

const pointer = (path: readonly PropertyKey[]): string =>
  path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

function toIssues(issue: z.core.$ZodIssue, prefix: string): Issue[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: prefix + pointer([...issue.path, key]),
      code: 'unknown_key',
      message: 'is not known here',
    }));
  }
  return [{ pointer: prefix + pointer(issue.path), code: issue.code, message: issue.message }];
}
