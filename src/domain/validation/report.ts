import type { SourceIssue } from './checkSource.ts';
import { scoreOf } from './score.ts';
import type { Language } from './syntaxNode.ts';

/** What the `validate` kind returns. `skipped` = there is no parser for this file, so nothing was judged. */
export type ValidationReport = {
  /** '' for content without a path. */
  path: string;
  language: Language | null;
  lines: number;
  score: number;
  skipped: boolean;
  issues: ({ path: string } & SourceIssue)[];
};

const linesOf = (source: string): number => (source === '' ? 0 : source.split('\n').length - (source.endsWith('\n') ? 1 : 0));

/** @param checked language and issues of the source; null when there is no parser for it */
export function reportOf(source: string, path: string, checked: { language: Language; issues: SourceIssue[] } | null): ValidationReport {
  const lines = linesOf(source);
  const issues = checked?.issues ?? [];
  return {
    path,
    language: checked?.language ?? null,
    lines,
    score: scoreOf(issues, lines),
    skipped: checked === null,
    issues: issues.map((issue) => ({ path, ...issue })),
  };
}
