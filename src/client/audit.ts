import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components, paths } from './types.gen.ts';

export type Audit = ReturnType<typeof createAudit>;
export type AuditHead = components['schemas']['AuditHead'];
export type AuditQuery = NonNullable<paths['/api/v1/audit']['get']['parameters']['query']>;

/** Who did what in the workspace, and the chain that shows that it is all there. */
export function createAudit({ baseUrl, fetch, api }: Http) {
  return {
    list: (query: AuditQuery = {}) => answeredAtLast(baseUrl, () => api.GET('/api/v1/audit', { params: { query } })),
    checkpoint: () => answeredAtLast(baseUrl, () => api.GET('/api/v1/audit/checkpoint')),
    /** Lines of the chain, as they come. @throws Error when it breaks off */
    lines: async function* (): AsyncGenerator<string> {
      const response = await answeredAtLast(baseUrl, async () => {
        const answer = await fetch(new Request(`${baseUrl}/api/v1/audit/export`));
        return answer.ok
          ? { data: answer, response: answer }
          : { error: await answer.json().catch<unknown>(() => undefined), response: answer };
      });
      let rest = '';
      for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const parts = (rest + text).split('\n');
        rest = parts.pop() ?? '';
        yield* parts;
      }
      if (rest !== '') throw new Error('the export broke off');
    },
  };
}
