import type { Json } from '../json.ts';
import type { Issue } from '../problem.ts';
import { checkDefinition } from './check.ts';
import type { Definition } from './definition.ts';
import { matchesSchema, schemaFaults } from './jsonSchema.schema.ts';
import { parseJson } from './jsonText.ts';
import { LIMITS } from './limits.ts';
import { toJson, type ParsedText } from './parsedText.ts';
import { parseYaml } from './yamlText.schema.ts';

export type ReadResult = { definition: Definition; issues: [] } | { issues: Issue[] };

/**
 * The definition that a text holds, or all that is wrong with it, each issue with pointer, line and column. Never
 * throws. A text that cannot be parsed has the faults of its syntax alone.
 */
export function readDefinition(text: string, mediaType: 'json' | 'yaml'): ReadResult {
  if (text.length > LIMITS.textBytes)
    return {
      issues: [{ pointer: '', code: 'too_large', message: `at most ${LIMITS.textBytes} bytes, has ${text.length} characters or more` }],
    };
  const parsed: ParsedText = mediaType === 'json' ? parseJson(text) : parseYaml(text);
  if ('issues' in parsed) return { issues: parsed.issues };
  const { issues, ...rest } = readDefinitionValue(parsed.value as Json);
  return 'definition' in rest
    ? { definition: rest.definition, issues: [] }
    : { issues: issues.map((issue) => ({ ...issue, ...parsed.locate(issue.pointer) })) };
}

/** The same for a value that is parsed already: issues have pointers alone. */
export function readDefinitionValue(value: Json): ReadResult {
  const json = toJson(value);
  return 'issues' in json ? json : checkDefinition(json.value, { matches: matchesSchema, faults: schemaFaults });
}
