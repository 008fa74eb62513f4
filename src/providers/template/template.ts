import Mustache from 'mustache';
import { isObject, type Json } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';

/** Of the rendered text, UTF-16 units. */
const MAX_TEXT = 4 * 2 ** 20;
/** Tokens visited, over all rounds of all sections. */
const MAX_STEPS = 2_000_000;
/** The template parser is quadratic in runs of blanks. */
const MAX_BLANKS = 256;

/**
 * Fills a Mustache template: no partials, no lambdas, nothing inherited is visible. Values are escaped for text/html only;
 * elsewhere objects and lists print as JSON.
 * @throws Problem render_failed | artifact_too_large
 */
export function renderTemplate(template: string, data: Json, mediaType: string): string {
  refuseBlankRuns(template);
  const escape = /^\s*text\/html\b/i.test(mediaType) ? (value: unknown) => Mustache.escape(toText(value)) : toText;
  try {
    return new BoundedWriter().render(template, new OwnContext(data), undefined, { escape });
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('render_failed', { detail: error instanceof Error ? error.message : 'The template cannot be read', cause: error });
  }
}

const toText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

function refuseBlankRuns(template: string): void {
  let run = 0;
  for (let at = 0; at < template.length; at += 1) {
    const code = template.charCodeAt(at);
    run = code <= 0x20 || code >= 0x80 ? (/\s/.test(template.charAt(at)) ? run + 1 : 0) : 0;
    if (run > MAX_BLANKS) throw new Problem('render_failed', { detail: `More than ${MAX_BLANKS} blanks in a row at offset ${at}` });
  }
}

/** Looks names up among a value's own fields only; the library would follow prototypes and call what it finds. */
class OwnContext extends Mustache.Context {
  override push(view: unknown): OwnContext {
    return new OwnContext(view, this);
  }

  override lookup(name: string): unknown {
    const view = this.view as Json;
    if (name === '.') return view;
    const [first = '', ...rest] = name.split('.');
    if (!isObject(view) || !Object.hasOwn(view, first)) return this.parent?.lookup(name);
    return rest.reduce<Json | undefined>(ownField, view[first]);
  }
}

function ownField(value: Json | undefined, field: string): Json | undefined {
  if (Array.isArray(value) && field === 'length') return value.length;
  return (isObject(value) || Array.isArray(value)) && Object.hasOwn(value, field) ? (value as Record<string, Json>)[field] : undefined;
}

type RenderArguments = Parameters<Mustache.Writer['renderTokens']>;

/** Counts what is produced while it is, so that nested lists cannot fill memory. */
class BoundedWriter extends Mustache.Writer {
  #text = 0;
  #steps = 0;

  override renderTokens(...given: RenderArguments): string {
    this.#steps += 1 + given[0].length;
    if (this.#steps > MAX_STEPS)
      throw new Problem('artifact_too_large', { detail: 'The template takes too many steps', data: { max: MAX_STEPS } });
    return super.renderTokens(...given);
  }

  override escapedValue(...given: Parameters<Mustache.Writer['escapedValue']>): string {
    return this.#counted(super.escapedValue(...given));
  }

  override unescapedValue(...given: Parameters<Mustache.Writer['unescapedValue']>): string {
    const value: unknown = super.unescapedValue(...given);
    return this.#counted(value === undefined ? '' : toText(value));
  }

  override rawValue(token: string[]): string {
    return this.#counted(super.rawValue(token));
  }

  /** Undefined stands for a name that is not there. */
  #counted(text: string | undefined): string {
    this.#text += text?.length ?? 0;
    if (this.#text > MAX_TEXT)
      throw new Problem('artifact_too_large', { detail: 'The rendered text is too large', data: { max: MAX_TEXT } });
    return text ?? '';
  }
}
