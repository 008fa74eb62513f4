import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { defineRoute, type Route } from '../../route.ts';

const tag = 'docs';
const assets = path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

const FILES: Readonly<Record<string, { type: string; file?: string; text?: string }>> = {
  'swagger-ui.css': { type: 'text/css', file: 'swagger-ui.css' },
  'swagger-ui-bundle.js': { type: 'text/javascript', file: 'swagger-ui-bundle.js' },
  'favicon-32x32.png': { type: 'image/png', file: 'favicon-32x32.png' },
  'start.js': {
    type: 'text/javascript',
    text: `SwaggerUIBundle({ url: '/api/openapi.json', dom_id: '#page', deepLinking: true, validatorUrl: null, persistAuthorization: false });\n`,
  },
};

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>TIU API</title>
<link rel="icon" href="/api/docs/favicon-32x32.png">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
`;

/** Nothing from outside and nothing inline: the page's library sets styles by script, which is no inline style, and embeds small images. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const document = defineRoute({
  method: 'get',
  path: '/api/openapi.json',
  action: 'public',
  cost: 'public',
  tag,
  summary: 'This document',
  responses: { 200: { description: 'OpenAPI 3.1', schema: z.record(z.string(), z.unknown()) } },
  handler: ({ deps }) => Promise.resolve({ status: 200, body: deps.document() }),
});

const page = defineRoute({
  method: 'get',
  path: '/api/docs',
  action: 'public',
  cost: 'public',
  tag,
  summary: 'This document as a page',
  responses: { 200: { description: 'HTML', types: ['text/html'] } },
  handler: () => Promise.resolve({ status: 200, type: 'text/html', body: PAGE, headers: { 'content-security-policy': POLICY } }),
});

const asset = defineRoute({
  method: 'get',
  path: '/api/docs/{file}',
  action: 'public',
  cost: 'public',
  tag,
  summary: 'Parts of the page',
  request: { params: z.object({ file: z.string() }) },
  responses: { 200: { description: 'A file', types: ['*/*'] } },
  handler: ({ params }) => {
    const found = Object.hasOwn(FILES, params.file) ? FILES[params.file] : undefined;
    if (!found) throw new Problem('not_found');
    const body = found.file === undefined ? found.text : createReadStream(path.join(assets, found.file));
    return Promise.resolve({ status: 200, type: found.type, body, headers: { 'cache-control': 'public, max-age=3600' } });
  },
});

export const docsRoutes: readonly Route[] = [document, page, asset];
