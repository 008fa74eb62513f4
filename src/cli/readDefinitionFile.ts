import path from 'node:path';
import type { Definition } from '../domain/definition/definition.ts';
import { readDefinition } from '../domain/definition/read.schema.ts';
import { isObject } from '../domain/json.ts';
import type { Terminal } from './cli.ts';
import { count } from './count.ts';
import { CliError, EXIT } from './exit.ts';
import { issueLines } from './issueLines.ts';
import { readText } from './readInputs.ts';

export type DefinitionFile = {
  text: string;
  definition: Definition;
  /** Input fields that name an artifact. */ artifactFields: ReadonlySet<string>;
};

/** Reads and checks a definition; prints every fault with its place. @throws CliError (usage, or failed if it has faults) */
export function readDefinitionFile(terminal: Terminal, file: string): DefinitionFile {
  const text = readText(path.resolve(terminal.cwd, file));
  const read = readDefinition(text, path.extname(file) === '.json' ? 'json' : 'yaml');
  if ('definition' in read) return { text, definition: read.definition, artifactFields: artifactFieldsOf(read.definition) };
  for (const line of issueLines(read.issues, file)) terminal.out(line);
  throw new CliError(EXIT.failed, `${file}: ${count(read.issues.length, 'fault')}`);
}

function artifactFieldsOf({ inputSchema }: Definition): ReadonlySet<string> {
  const properties = isObject(inputSchema) && isObject(inputSchema.properties) ? inputSchema.properties : {};
  return new Set(Object.entries(properties).flatMap(([name, schema]) => (isObject(schema) && schema.format === 'artifact' ? [name] : [])));
}
