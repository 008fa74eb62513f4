import type { JsonObject } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import { isDeclarationFile, languageOf } from '../../domain/validation/languageOf.ts';
import { reportOf } from '../../domain/validation/report.ts';
import { LEVELS, type Level } from '../../domain/validation/rule.ts';
import { LANGUAGES, type Language } from '../../domain/validation/syntaxNode.ts';
import type { Archives } from '../../providers/archive/archives.ts';
import type { Syntax } from '../../providers/syntax/syntax.ts';
import type { Execution, Executor } from './executor.ts';
import { artifactReference } from './storedArtifact.ts';

export type ValidateDeps = { archives: Archives; syntax: Pick<Syntax, 'check'> };

/** Checks one source file. A file whose extension no parser knows is skipped with score 1. */
export function createValidate(deps: ValidateDeps): Executor {
  return async (input, execution) => {
    const path = pathOf(input);
    const language = statedLanguage(input) ?? languageOf(path);
    const source = await sourceOf(deps, input, execution);
    if (language === null) return reportOf(source, path, null);
    const level = LEVELS.find((one) => one === input.level) ?? ('normal' satisfies Level);
    const issues = await deps.syntax.check({ language, source, rules: { level, declarations: isDeclarationFile(path) } }, execution.signal);
    return reportOf(source, path, { language, issues });
  };
}

function statedLanguage(input: JsonObject): Language | null {
  if (typeof input.language !== 'string') {
    if (pathOf(input) === '') throw new Problem('unsupported_language', { detail: 'Neither `path` nor `language` tells the language' });
    return null;
  }
  const stated = input.language.toLowerCase();
  const language = LANGUAGES.find((one) => one === stated);
  if (language === undefined) throw new Problem('unsupported_language', { data: { language: stated, supported: [...LANGUAGES] } });
  return language;
}

/** The path that tells the language; an artifact that is one file tells it by its own name. */
function pathOf(input: JsonObject): string {
  if (typeof input.path === 'string') return input.path;
  return input.artifact === undefined ? '' : (artifactReference(input.artifact).name ?? '');
}

/** Of a skipped file too, which must exist all the same. */
async function sourceOf(deps: ValidateDeps, input: JsonObject, { workspace }: Execution): Promise<string> {
  if (typeof input.content === 'string') return input.content;
  const archive = await deps.archives.of(workspace, artifactReference(input.artifact).sha256);
  return archive
    .read(pathOf(input))
    .toString('utf8')
    .replace(/^\uFEFF/, '');
}
