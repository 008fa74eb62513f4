import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components } from './types.gen.ts';

export type Artifacts = ReturnType<typeof createArtifacts>;
export type Artifact = components['schemas']['Artifact'];
export type Upload = { bytes: Uint8Array<ArrayBuffer> | string; mediaType: string; name?: string };

/** Artifacts are named by their content, so an upload may be repeated without harm. */
export function createArtifacts({ baseUrl, fetch }: Http) {
  const send = async (request: Request): Promise<{ data?: Response; error?: unknown; response: Response }> => {
    const response = await fetch(request);
    return response.ok ? { data: response, response } : { error: await response.json().catch(() => undefined), response };
  };
  return {
    upload: async ({ bytes, mediaType, name }: Upload): Promise<Artifact> => {
      const query = name === undefined ? '' : `?name=${encodeURIComponent(name)}`;
      const request = () =>
        new Request(`${baseUrl}/api/v1/artifacts${query}`, {
          method: 'POST',
          body: bytes,
          headers: { 'content-type': mediaType },
        });
      const response = await answeredAtLast(baseUrl, () => send(request()));
      return (await response.json()) as Artifact;
    },
    /** @throws ApiProblem artifact_not_found */
    download: async (sha256: string): Promise<Uint8Array> => {
      const request = () => new Request(`${baseUrl}/api/v1/artifacts/${sha256}`);
      const response = await answeredAtLast(baseUrl, () => send(request()));
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}
