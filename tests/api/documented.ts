import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { expect } from '@jest/globals';
import { openapi } from '../../src/api/openapi.ts';
import { routes } from '../../src/api/routes.ts';

type Content = Record<string, { schema?: unknown }>;
type Operation = { responses: Record<string, { content?: Content }> };

const document = openapi(routes) as unknown as { paths: Record<string, Record<string, Operation>> };
const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema(document, 'api');
const compiled = new Map<string, ValidateFunction>();

const pointer = (parts: string[]) =>
  parts.map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');

/** Operations that were answered as documented, as `METHOD path status`. */
const seen = new Set<string>();

/** Fails unless the document describes this answer: status, media type, shape. */
export function documented(method: string, pathname: string, answer: { status: number; headers: Headers; body: unknown }): void {
  const paths = Object.keys(document.paths).filter((path) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname));
  const known = paths.find((path) => !path.includes('{')) ?? paths[0];
  const operation = known === undefined ? undefined : document.paths[known]?.[method.toLowerCase()];
  const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
  if (!operation || !known) {
    // no such route: a problem, or the answer to HEAD
    if (method !== 'HEAD') expect(type).toBe('application/problem+json');
    return;
  }
  const response = operation.responses[String(answer.status)];
  if (!response) throw new Error(`${method} ${known} answered ${answer.status}, which is not documented: ${JSON.stringify(answer.body)}`);
  seen.add(`${method} ${known} ${answer.status}`);
  if (!response.content) return;
  const media = response.content[type] ? type : response.content['*/*'] ? '*/*' : undefined;
  if (media === undefined) throw new Error(`${method} ${known} ${answer.status} answered as ${type}`);
  if (!media.includes('json')) return;
  const at = `api#${pointer(['paths', known, method.toLowerCase(), 'responses', String(answer.status), 'content', media, 'schema'])}`;
  const validate = compiled.get(at) ?? ajv.compile({ $ref: at });
  compiled.set(at, validate);
  if (!validate(answer.body))
    throw new Error(`${method} ${known} ${answer.status}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(answer.body, null, 1)}`);
}
