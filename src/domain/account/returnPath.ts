const HERE = 'https://here.invalid';
/** Printable ASCII without a backslash, which browsers read as a slash; line breaks and tabs, which they pass over, are none. */
const PATH = /^\/[\x21-\x5b\x5d-\x7e]{0,999}$/;

/** A path of our own origin, to come back to. @returns undefined for what would lead, or could be read to lead, elsewhere */
export function returnPath(text: string): string | undefined {
  if (!PATH.test(text)) return undefined;
  const url = URL.parse(text, HERE);
  if (url?.origin !== HERE || url.pathname.startsWith('//')) return undefined;
  return `${url.pathname}${url.search}${url.hash}`;
}
