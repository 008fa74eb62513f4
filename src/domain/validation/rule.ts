import type { SyntaxNode } from './syntaxNode.ts';

/** lenient: only what cannot be meant · normal: also what is probably unfinished · strict: also what deserves a look */
export const LEVELS = ['lenient', 'normal', 'strict'] as const;
export type Level = (typeof LEVELS)[number];
export type Severity = 'error' | 'warning' | 'info';

/** What a rule says about a node. `at` = where to point (default the node); `covers` = nothing inside it is reported again. */
export type Finding = { severity: Severity; message: string; fix?: string; rule?: string; at?: SyntaxNode; covers?: SyntaxNode };

/** One check: `check` is called for every node of `kinds` when the level is `from` or stricter. */
export type Rule = {
  id: string;
  from: Level;
  kinds: readonly string[];
  check: (node: SyntaxNode, level: Level) => Finding | null;
};

export const atLeast = (level: Level, from: Level): boolean => LEVELS.indexOf(level) >= LEVELS.indexOf(from);
export const isStrict = (level: Level): boolean => level === 'strict';
