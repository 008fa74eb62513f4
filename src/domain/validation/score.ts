import type { Severity } from './rule.ts';

const POINTS: Record<Severity, number> = { error: 1, warning: 0.35, info: 0.1 };

/**
 * Score of a source, 0 to 1, higher is better, to three decimals.
 *
 * Points are 1 for an error, 0.35 for a warning, 0.1 for an info. The score is `1 / (1 + 20 × points / lines)`, where a
 * source counts as at least 20 lines: one error in 20 lines gives 0.5, one in 200 gives 0.909. However long the source,
 * it is at most 0.75 with an error and at most 0.5 with a syntax error, so that a threshold of 0.8 lets no error pass.
 */
export function scoreOf(issues: readonly { rule: string; severity: Severity }[], lines: number): number {
  const points = issues.reduce((sum, issue) => sum + POINTS[issue.severity], 0);
  const density = 1 / (1 + (20 * points) / Math.max(20, lines));
  const cap = issues.some((i) => i.rule === 'syntax-error') ? 0.5 : issues.some((i) => i.severity === 'error') ? 0.75 : 1;
  return Math.round(Math.min(density, cap) * 1_000) / 1_000;
}
