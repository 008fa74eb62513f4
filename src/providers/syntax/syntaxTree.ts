import { createRequire } from 'node:module';
import { parse, registerDynamicLanguage, type SgNode } from '@ast-grep/napi';
import type { Language, Position, SyntaxNode, SyntaxTree } from '../../domain/validation/syntaxNode.ts';

const GRAMMARS: Record<Language, string> = { typescript: 'TypeScript', tsx: 'Tsx', javascript: 'JavaScript', python: 'python' };

/** Nodes that may rightly be empty; any other leaf without text was made up by the parser. */
const EMPTY_KINDS = new Set(['program', 'module', 'block', 'string_content', 'string_fragment', 'jsx_text', 'template_string', 'ERROR']);

let registered = false;

/** The package finds its own prebuilt parser; its install script is never run. Once per thread. */
function registerPython(): void {
  if (registered) return;
  const python = createRequire(import.meta.url)('@ast-grep/lang-python') as {
    libraryPath: string;
    extensions: string[];
    languageSymbol: string;
    expandoChar: string;
  };
  registerDynamicLanguage({ python });
  registered = true;
}

/** Parses on the calling thread: about 5 MB/s, more slowly where a source is far from its grammar. */
export function parseSource(language: Language, source: string): SyntaxTree {
  if (language === 'python') registerPython();
  const root = parse(GRAMMARS[language], source).root();
  const find = (rule: object) => root.findAll({ rule });
  return {
    root: wrap(root),
    find: (kinds) => (kinds.length === 0 ? [] : find({ any: kinds.map((kind) => ({ kind })) }).map(wrap)),
    missing: () => {
      const empty = source.length > MAX_SEARCH ? emptyLeaves(root) : find({ regex: '^$' }).filter(isEmptyLeaf);
      return empty.map(wrap);
    },
  };
}

/** About 150 KB of source. */
const MAX_WALK = 50_000;
/** The native search is many times faster, but reads the text of every node: quadratic where a source is one deep tree. */
const MAX_SEARCH = 32_768;

const isEmptyLeaf = (node: SgNode): boolean => node.isLeaf() && node.text() === '' && !EMPTY_KINDS.has(String(node.kind()));

/** Leaves without text, in source order; looked for among the first 50,000 nodes. */
function emptyLeaves(root: SgNode): SgNode[] {
  const found: SgNode[] = [];
  const open = [root];
  for (let visited = 0; visited < MAX_WALK; visited += 1) {
    const node = open.pop();
    if (node === undefined) break;
    const children = node.children();
    if (children.length > 0) open.push(...children.slice(0, MAX_WALK).reverse());
    else if (isEmptyLeaf(node)) found.push(node);
  }
  return found;
}

const toPosition = (at: { line: number; column: number; index: number }): Position => ({
  line: at.line + 1,
  column: at.column + 1,
  offset: at.index,
});

/** Every read crosses into native code, so each is done at most once. */
function wrap(node: SgNode): SyntaxNode {
  let children: readonly SyntaxNode[] | undefined;
  let parent: SyntaxNode | null | undefined;
  let range: { start: Position; end: Position } | undefined;
  let text: string | undefined;
  const position = () => {
    const read = node.range();
    return { start: toPosition(read.start), end: toPosition(read.end) };
  };
  return {
    kind: String(node.kind()),
    named: node.isNamed(),
    get text() {
      return (text ??= node.text());
    },
    get start() {
      return (range ??= position()).start;
    },
    get end() {
      return (range ??= position()).end;
    },
    get children() {
      return (children ??= node.children().map(wrap));
    },
    get parent() {
      if (parent === undefined) parent = wrapped(node.parent());
      return parent;
    },
    get previous() {
      return wrapped(node.prev());
    },
    get next() {
      return wrapped(node.next());
    },
    field: (name) => wrapped(node.field(name as never)),
  };
}

const wrapped = (node: SgNode | null): SyntaxNode | null => (node === null ? null : wrap(node));
