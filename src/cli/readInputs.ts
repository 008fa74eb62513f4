import fs from 'node:fs';
import path from 'node:path';
import type { Json, JsonObject } from '../domain/json.ts';
import { CliError, EXIT } from './exit.ts';

export type Inputs = {
  input: JsonObject;
  /** Fields that name a file or folder to upload, with its path. */ uploads: { field: string; path: string }[];
};

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Reads `--input` arguments. `key=value`: the value is JSON if it parses, else text; `key=@file` takes it from a JSON
 * file; `@file` alone gives the whole input. A field in `artifactFields` names what to upload, unless it is a sha256. Paths are relative to `cwd`.
 * @throws CliError (usage)
 */
export function readInputs(args: readonly string[], artifactFields: ReadonlySet<string>, cwd: string): Inputs {
  const fileOf = (text: string) => path.resolve(cwd, text.replace(/^@/, ''));
  const input: JsonObject = {};
  const uploads: Inputs['uploads'] = [];
  for (const arg of args) {
    if (arg.startsWith('@')) {
      Object.assign(input, readObject(fileOf(arg)));
      continue;
    }
    const cut = arg.indexOf('=');
    if (cut < 1) throw new CliError(EXIT.usage, `--input ${arg}: expected key=value or @file.json`);
    const field = arg.slice(0, cut);
    const text = arg.slice(cut + 1);
    if (artifactFields.has(field) && !SHA256.test(text)) uploads.push({ field, path: existing(field, fileOf(text)) });
    else input[field] = text.startsWith('@') ? readJson(fileOf(text)) : jsonOrText(text);
  }
  return { input, uploads };
}

function existing(field: string, at: string): string {
  if (!fs.existsSync(at)) throw new CliError(EXIT.usage, `--input ${field}: there is no file or folder ${at}`);
  return at;
}

function jsonOrText(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

function readJson(file: string): Json {
  const text = readText(file);
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new CliError(EXIT.usage, `${file}: ${error instanceof Error ? error.message : 'not JSON'}`);
  }
}

function readObject(file: string): JsonObject {
  const value = readJson(file);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CliError(EXIT.usage, `${file}: the input must be a JSON object`);
  return value;
}

/** @throws CliError (usage) when the file cannot be read */
export function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new CliError(EXIT.usage, `cannot read ${file} (${code})`);
  }
}
