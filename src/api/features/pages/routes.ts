import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { defineRoute, type Route } from '../../route.ts';

const tag = 'pages';
const read = (file: string): string => readFileSync(path.join(import.meta.dirname, file), 'utf8');

/** Where links of mails, of invitations and of devices lead: one page, whose script does what its path says with the token behind `#`. */
const PATHS = ['/invitation', '/reset-password', '/verify-email', '/confirm-email', '/device'] as const;

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

const PAGE = read('page.html');
const FILES: ReadonlyMap<string, { type: string; body: string }> = new Map([
  ['page.css', { type: 'text/css', body: read('page.css') }],
  ['page.js', { type: 'text/javascript', body: read('page.js') }],
  ['views.js', { type: 'text/javascript', body: read('views.js') }],
]);

const pages = PATHS.map((where) =>
  defineRoute({
    method: 'get',
    path: where,
    action: 'public',
    cost: 'public',
    tag,
    summary: `The page behind links to ${where}`,
    responses: { 200: { description: 'HTML', types: ['text/html'] } },
    handler: () => Promise.resolve({ status: 200, type: 'text/html', body: PAGE, headers: { 'content-security-policy': POLICY } }),
  }),
);

const file = defineRoute({
  method: 'get',
  path: '/pages/{file}',
  action: 'public',
  cost: 'public',
  tag,
  summary: 'Parts of these pages',
  request: { params: z.object({ file: z.string() }) },
  responses: { 200: { description: 'A file', types: ['*/*'] } },
  handler: ({ params }) => {
    const found = FILES.get(params.file);
    if (!found) throw new Problem('not_found');
    return Promise.resolve({ status: 200, ...found, headers: { 'cache-control': 'public, max-age=300' } });
  },
});

export const pageRoutes: readonly Route[] = [...pages, file];
