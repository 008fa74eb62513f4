/** Languages whose sources can be checked. `tsx` is TypeScript with JSX; JavaScript always allows JSX. */
export const LANGUAGES = ['typescript', 'tsx', 'javascript', 'python'] as const;
export type Language = (typeof LANGUAGES)[number];

/** Line and column are 1-based, the column in UTF-16 units; the offset is 0-based from the start of the source. */
export type Position = { line: number; column: number; offset: number };

/** A node of a concrete syntax tree, as tree-sitter grammars name its kinds and fields. Read lazily. */
export type SyntaxNode = {
  readonly kind: string;
  /** False for punctuation and keywords. */
  readonly named: boolean;
  readonly text: string;
  readonly start: Position;
  readonly end: Position;
  readonly children: readonly SyntaxNode[];
  readonly parent: SyntaxNode | null;
  field: (name: string) => SyntaxNode | null;
};

export type SyntaxTree = {
  root: SyntaxNode;
  /** Nodes of these kinds in source order. Every kind must exist in the grammar of the language. */
  find: (kinds: readonly string[]) => SyntaxNode[];
  /** Tokens that the parser had to make up, such as a closing bracket. */
  missing: () => SyntaxNode[];
};

export const isComment = (node: SyntaxNode): boolean => node.kind === 'comment';

/** Children that mean something: no punctuation, no comments. */
export const meaningful = (node: SyntaxNode): SyntaxNode[] => node.children.filter((child) => child.named && !isComment(child));

/** The nearest enclosing node of one of these kinds. */
export function enclosing(node: SyntaxNode, kinds: readonly string[]): SyntaxNode | null {
  let at = node.parent;
  while (at !== null && !kinds.includes(at.kind)) at = at.parent;
  return at;
}

/** The comment that ends on the line before this node, or null. */
export function commentBefore(node: SyntaxNode): SyntaxNode | null {
  const siblings = node.parent?.children ?? [];
  const index = siblings.findIndex((sibling) => sibling.start.offset === node.start.offset);
  const before = siblings[index - 1];
  return before !== undefined && isComment(before) && before.end.line >= node.start.line - 1 ? before : null;
}

/** The comment that starts on the line where this node ends, or null. */
export function commentAfter(node: SyntaxNode): SyntaxNode | null {
  for (let at: SyntaxNode | null = node; at !== null && at.end.line === node.end.line; at = at.parent) {
    const found = at.parent?.children.find((s) => isComment(s) && s.start.line === node.end.line && s.start.offset >= node.end.offset);
    if (found) return found;
  }
  return null;
}
