import type { Language } from './syntaxNode.ts';

const EXTENSIONS: Readonly<Record<string, Language>> = {
  '.ts': 'typescript',
  '.mts': 'typescript',
  '.cts': 'typescript',
  '.tsx': 'tsx',
  '.js': 'javascript',
  '.mjs': 'javascript',
  '.cjs': 'javascript',
  '.jsx': 'javascript',
  '.py': 'python',
  '.pyi': 'python',
};

/** The language of a source by the extension of its path; null where there is no parser for it. */
export function languageOf(path: string): Language | null {
  const extension = /\.[^./]+$/.exec(path)?.[0].toLowerCase() ?? '';
  return Object.hasOwn(EXTENSIONS, extension) ? (EXTENSIONS[extension] ?? null) : null;
}

/** Whether a path holds declarations only (`.pyi`), where bodies of `...` are the rule. */
export const isDeclarationFile = (path: string): boolean => /\.pyi$/i.test(path);
