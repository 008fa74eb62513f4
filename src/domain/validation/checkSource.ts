import { ecmascriptRules } from './ecmascriptRules.ts';
import { pythonRules } from './pythonRules.ts';
import { atLeast, type Finding, type Level, type Rule, type Severity } from './rule.ts';
import type { Language, SyntaxNode, SyntaxTree } from './syntaxNode.ts';

/** One fault of a source. Line and column are 1-based, the column in UTF-16 units. */
export type SourceIssue = { line: number; column: number; rule: string; severity: Severity; message: string; fix?: string };

/** What is checked: how strictly, and whether the source holds declarations only. */
export type RuleSet = { level: Level; declarations: boolean };

type Found = { issue: SourceIssue; rule: string; start: number; covers: SyntaxNode | undefined };

/** More are counted, not listed: a file that is no source of its language has thousands. */
const MAX_SYNTAX_ERRORS = 20;
const MAX_ISSUES = 500;

/** All issues of a parsed source in source order; at most 500, of which at most 20 syntax errors. */
export function checkSource(tree: SyntaxTree, language: Language, set: RuleSet): SourceIssue[] {
  const rules = rulesOf(language, set);
  const byKind = new Map<string, Rule[]>();
  for (const rule of rules) for (const kind of rule.kinds) byKind.set(kind, [...(byKind.get(kind) ?? []), rule]);
  const found = tree.find([...byKind.keys()]).flatMap((node) =>
    (byKind.get(node.kind) ?? []).flatMap((rule) => {
      const finding = rule.check(node, set.level);
      return finding === null ? [] : [toFound(rule, finding, node)];
    }),
  );
  const kept = withoutRepeats([...syntaxErrors(tree), ...found]);
  return kept.slice(0, MAX_ISSUES).map(({ issue }) => issue);
}

function rulesOf(language: Language, { level, declarations }: RuleSet): Rule[] {
  const all = language === 'python' ? pythonRules(declarations) : ecmascriptRules(language);
  return all.filter((rule) => atLeast(level, rule.from));
}

function toFound(rule: Rule, finding: Finding, node: SyntaxNode): Found {
  const { line, column, offset } = (finding.at ?? node).start;
  const id = finding.rule ?? rule.id;
  const fix = finding.fix === undefined ? {} : { fix: finding.fix };
  return {
    rule: id,
    start: offset,
    covers: finding.covers,
    issue: { line, column, rule: id, severity: finding.severity, message: finding.message, ...fix },
  };
}

function syntaxErrors(tree: SyntaxTree): Found[] {
  const rule: Rule = { id: 'syntax-error', from: 'lenient', kinds: ['ERROR'], check: () => null };
  const errors = tree
    .find(rule.kinds)
    .filter((node) => !isGrammarGap(node))
    .map((node) => toFound(rule, { severity: 'error', message: `Unexpected ${quote(node.text)}`, covers: node }, node));
  const missing = tree
    .missing()
    .filter((node) => node.kind !== ';')
    .map((node) => toFound(rule, { severity: 'error', message: `Missing ${node.kind}` }, node));
  return [...errors, ...missing].sort((a, b) => a.start - b.start).slice(0, MAX_SYNTAX_ERRORS);
}

/** Legal code that the grammars do not know: variance and const modifiers of type parameters, keywords as export names. */
function isGrammarGap(node: SyntaxNode): boolean {
  const parent = node.parent?.kind ?? '';
  if (parent === 'type_parameter' || parent === 'type_parameters') return /\b(?:in|out|const)\b/.test(node.parent?.text ?? '');
  return /^(?:export|import)_(?:specifier|clause|statement)$/.test(parent) && /^as \w+$/.test(node.text);
}

const quote = (text: string): string => {
  const line = text.trim().split('\n')[0] ?? '';
  return line === '' ? 'text' : `\`${line.length > 40 ? `${line.slice(0, 39)}…` : line}\``;
};

/** Sorted; what lies inside a finding that covers its node, or repeats one at the same place, is left out. */
function withoutRepeats(all: Found[]): Found[] {
  const sorted = all.toSorted((a, b) => a.start - b.start);
  const kept: Found[] = [];
  let coveredTo = -1;
  let coveredFrom = -1;
  for (const found of sorted) {
    const inside = found.start < coveredTo && found.start >= coveredFrom && found.rule !== 'syntax-error';
    const repeated = kept.at(-1)?.start === found.start && kept.at(-1)?.rule === found.rule;
    if (inside || repeated) continue;
    kept.push(found);
    if (found.covers !== undefined && found.covers.end.offset > coveredTo)
      [coveredFrom, coveredTo] = [found.covers.start.offset, found.covers.end.offset];
  }
  return kept;
}
