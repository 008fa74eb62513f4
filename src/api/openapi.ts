import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponseObject } from 'zod-openapi';
import { ruleOf, type Action } from '../domain/access/actions.ts';
import { PROBLEMS, type ProblemCode } from '../domain/problem.ts';
import { PROBLEM_TYPE } from './http/problems.ts';
import type { Route } from './route.ts';
import { Problem } from './schemas.ts';

/** The OpenAPI 3.1 document of a list of routes. */
export function openapi(routes: readonly Route[]) {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method] = operation(route);
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'TIU',
      version: '1',
      description: 'Durable workflow orchestration. Problems are `application/problem+json` with a stable `code`.',
    },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key' } } },
    paths,
  });
}

function needed(action: Action): string {
  const { scope, role, own } = ruleOf(action);
  return `Needs the scope \`${scope}\` or the role \`${role}\`${own ? ` (\`${own}\` for what is one's own)` : ''}.`;
}

function operation(route: Route): ZodOpenApiOperationObject {
  const { request, action } = route;
  const needs = action === 'public' ? undefined : action === 'self' ? 'For people who have signed in.' : needed(action);
  const description = [route.description, needs].filter((part) => part !== undefined).join('\n\n');
  return {
    operationId: `${route.method} ${route.path}`.replaceAll(/\W+(\w)/g, (_, letter: string) => letter.toUpperCase()).replaceAll(/\W/g, ''),
    tags: [route.tag],
    summary: route.summary,
    ...(description !== '' && { description }),
    ...(action === 'public' && { security: [] }),
    'x-rate-class': route.cost,
    requestParams: {
      ...(request?.params instanceof z.ZodObject && { path: request.params }),
      ...(request?.query instanceof z.ZodObject && Object.keys(request.query.shape).length > 0 && { query: request.query }),
      ...headerParams(route),
    },
    ...bodyOf(route),
    responses: { ...responsesOf(route), ...problemsOf(route) },
  };
}

function headerParams(route: Route): { header?: z.ZodObject } {
  const key = route.idempotency && {
    'Idempotency-Key': z.string().max(255).optional().meta({ description: 'Makes repeating the request harmless for 7 days' }),
  };
  const prefer = route.idempotency === 'own' &&
    !route.path.endsWith('/batch') && {
      Prefer: z.string().optional().meta({ description: '`wait=N`: answer with the result if the run ends within N seconds (at most 60)' }),
    };
  const stream = route.path.endsWith('/events') && {
    'Last-Event-ID': z.string().optional().meta({ description: 'Of a stream: the last event number received' }),
  };
  const all = { ...key, ...prefer, ...stream };
  return Object.keys(all).length > 0 ? { header: z.object(all) } : {};
}

function bodyOf({ request }: Route): Pick<ZodOpenApiOperationObject, 'requestBody'> {
  if (request?.upload) return { requestBody: { required: true, content: { '*/*': { schema: { type: 'string', format: 'binary' } } } } };
  if (request?.signed) return { requestBody: { required: true, content: { 'application/json': { schema: {} } } } };
  if (!request?.body) return {};
  const { schema, fromYaml, form } = request.body;
  if (form) return { requestBody: { required: true, content: { 'application/x-www-form-urlencoded': { schema } } } };
  const content = { 'application/json': { schema }, ...(fromYaml && { 'application/yaml': { schema: { type: 'string' as const } } }) };
  return { requestBody: { required: !schema.safeParse(undefined).success, content } };
}

function responsesOf(route: Route): Record<string, ZodOpenApiResponseObject> {
  return Object.fromEntries(
    Object.entries(route.responses).map(([status, spec]) => {
      const types = spec.types ?? (spec.schema ? ['application/json'] : []);
      const schema = (type: string) =>
        spec.schema && type === 'application/json' ? { schema: spec.schema } : { schema: { type: 'string' as const } };
      const headers = Object.entries(spec.headers ?? {}).map(([name, text]) => [
        name,
        { description: text, schema: { type: 'string' as const } },
      ]);
      return [
        status,
        {
          description: spec.description,
          ...(types.length > 0 && { content: Object.fromEntries(types.map((type) => [type, schema(type)])) }),
          ...(headers.length > 0 && { headers: Object.fromEntries(headers) as NonNullable<ZodOpenApiResponseObject['headers']> }),
        },
      ];
    }),
  );
}

/** What the fixed order of every route may answer, and what the route adds. */
function problemsOf(route: Route): Record<string, ZodOpenApiResponseObject> {
  const { request } = route;
  const codes: ProblemCode[] = [
    'malformed_request',
    'not_acceptable',
    'payload_too_large',
    'uri_too_long',
    'headers_too_large',
    'unsupported_media_type',
    'internal',
    'unavailable',
    ...(route.action === 'public' ? [] : (['unauthenticated', 'forbidden'] as const)),
    ...(route.action === 'public' || route.beforeSecondFactor ? [] : (['second_factor_required'] as const)),
    ...(route.path.startsWith('/api/') ? (['overloaded'] as const) : []),
    ...(route.cost === 'none' ? [] : (['rate_limited'] as const)),
    ...(request?.params || route.load ? (['not_found'] as const) : []),
    ...(request?.body || request?.signed ? (['malformed_body'] as const) : []),
    ...(request?.body || request?.query ? (['invalid_request'] as const) : []),
    ...(route.problems ?? []),
  ];
  const byStatus = Map.groupBy([...new Set(codes)].sort(), (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus]
      .filter(([status]) => !(status in route.responses))
      .map(([status, list]) => [
        String(status),
        { description: list.map((code) => `\`${code}\``).join(', '), content: { [PROBLEM_TYPE]: { schema: Problem } } },
      ]),
  );
}
