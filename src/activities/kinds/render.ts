import type { Executor } from './executor.ts';
import { storeArtifact, type StoreDeps } from './storedArtifact.ts';
import { renderTemplate } from '../../providers/template/template.ts';

const EXTENSIONS: Record<string, string> = {
  'text/html': '.html',
  'text/markdown': '.md',
  'application/json': '.json',
  'text/csv': '.csv',
};

/** Fills a template; the text is the output, or an artifact that is. */
export function createRender(deps: StoreDeps): Executor {
  return async (input, execution) => {
    const mediaType = typeof input.mediaType === 'string' ? input.mediaType : 'text/plain';
    const text = renderTemplate(typeof input.template === 'string' ? input.template : '', input.data ?? {}, mediaType);
    if (input.as !== 'artifact') return text;
    const extension = EXTENSIONS[mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? ''] ?? '.txt';
    const name = typeof input.name === 'string' ? input.name : `${execution.taskId}${extension}`;
    return storeArtifact(deps, execution, { bytes: Buffer.from(text), mediaType, name });
  };
}
