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
  /** Siblings, punctuation included. */
  readonly previous: SyntaxNode | null;
  readonly next: SyntaxNode | null;
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

/** Whether this is the key of its pair. */
export const isKey = (node: SyntaxNode): boolean => node.parent?.field('key')?.start.offset === node.start.offset;

/** The nearest enclosing node of one of these kinds. */
export function enclosing(node: SyntaxNode, kinds: readonly string[]): SyntaxNode | null {
  let at = node.parent;
  while (at !== null && !kinds.includes(at.kind)) at = at.parent;
  return at;
}

/** The comment that ends on the line before this node, or null. */
export function commentBefore(node: SyntaxNode): SyntaxNode | null {
  const before = node.previous;
  return before !== null && isComment(before) && before.end.line >= node.start.line - 1 ? before : null;
}

/** How far a comment on the same line is looked for: up the tree, and to the right. A line may be a whole minified file. */
const LEVELS_UP = 6;
const STEPS_RIGHT = 3;

/** The comment that starts on the line where this node ends, or null. */
export function commentAfter(node: SyntaxNode): SyntaxNode | null {
  const line = node.end.line;
  let at: SyntaxNode | null = node;
  for (let level = 0; level < LEVELS_UP && at !== null && at.end.line === line; level += 1) {
    const found = commentToTheRight(at, line);
    if (found !== null) return found;
    at = at.parent;
  }
  return null;
}

function commentToTheRight(node: SyntaxNode, line: number): SyntaxNode | null {
  let at = node.next;
  for (let step = 0; step < STEPS_RIGHT && at !== null && at.start.line === line; step += 1) {
    if (isComment(at)) return at;
    if (at.named) return null;
    at = at.next;
  }
  return null;
}

/** Longer text is no constant stand-in, and may be a large table. */
const MAX_CONSTANT = 200;
export const isShort = (node: SyntaxNode): boolean => node.end.offset - node.start.offset <= MAX_CONSTANT;
