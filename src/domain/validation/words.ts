/** What comments, messages and names say about unfinished code. Applied to the text of comment, string and name nodes only. */

const NOT_IMPLEMENTED =
  /\bnot[\s_-]*(?:yet[\s_-]*)?(?:been[\s_-]*)?implemented|\bun-?implemented\b|\bimplement(?:ation)? (?:me|this|missing|pending|later|needed)\b|\b(?:yet )?to be implemented\b|\bmissing implementation\b|^\W*(?:todo|fixme|stub|tbd|placeholder)\b\s*(?:$|[:!.,;()'\x22\x60-]|impl)/i;
const NOT_IMPLEMENTED_NAME = /not_?(?:yet_?)?implemented|unimplemented/i;
// The marker words are spelled with a class, so that nobody takes these lines for work left to do.
const MARKER = /(?:^|\n)[ \t\r*/#!-]*@?(?:T[O]DO|FIXM[E])\b|\b(?:T[O]DO|FIXM[E])[:(]/;
const LOOSE_MARKER = /(?:^|\n)[ \t\r*/#!-]*@?(?:to-?do|fixme|xxx|hack|tbd)\b|\b(?:todo|fixme|xxx|hack)[:(]/i;
const TICKET = /\b(?:T[O]DO|FIXM[E])\s*[:(]?\s*(?:#\d+|[A-Z][A-Z0-9]+-\d+|https?:\/\/\S+)/;
const STAND_IN =
  /\bplace-?holder\b|^\W*stub(?:bed)?\b|\b(?:a|this|just|only) stub\b|\bstub(?:bed)? (?:impl\w*|out|for now|until|value|data|response|method|function)\b|\bmock(?:ed)?\b|\bdummy\b|\bfake\b|\bfor now\b|\bhard-?coded\b|\btemporary\b|\btemporarily\b|\bsimulat(?:e|es|ed|ing)\b|\bin a real\b|\bin production\b.*\bwould\b|\breal implementation\b|\bimplement (?:the )?(?:actual|real)\b/i;
const STRONG_STAND_IN =
  /\bplace-?holder\b|^\W*stub(?:bed)?\b|\b(?:a|this|just|only) stub\b|\bstub(?:bed)? (?:impl\w*|for now|until)\b|\b(?:dummy|fake|mock|temporary) (?:implementation|value|data)\b/i;
const EXPLAINED =
  /\bno-?op\b|\bnothing\b|\bhooks?\b|\boverrid(?:e|es|den|able)\b|\bsubclass(?:es)?\b|\boptional(?:ly)?\b|\bignor(?:e|es|ed)\b|\bby default\b|\bintentional/i;
const NOOP_NAME = /^_*(?:no_?op|no_?operation|nop|nothing|do_?nothing|ignore[ds]?|discard|sink|_|empty\w*)_*$/i;
const BASE_NAME = /^(?:Abstract|Base|I[A-Z][a-z])|(?:Base|Interface|Mixin|Protocol)$/;

/** Nobody reads on for longer, and no expression here has to. */
const MAX_READ = 10_000;
const says = (pattern: RegExp, text: string): boolean => pattern.test(text.slice(0, MAX_READ));

export const saysNotImplemented = (text: string): boolean => says(NOT_IMPLEMENTED, text);
export const namesNotImplemented = (name: string): boolean => says(NOT_IMPLEMENTED_NAME, name);
export const hasMarker = (comment: string): boolean => says(MARKER, comment);
/** Any case, and also XXX, HACK and TBD. */
export const hasLooseMarker = (comment: string): boolean => says(LOOSE_MARKER, comment);
export const citesTicket = (comment: string): boolean => says(TICKET, comment);
/** Says that what stands here is not the real thing. */
export const saysStandIn = (comment: string): boolean => hasLooseMarker(comment) || saysNotImplemented(comment) || says(STAND_IN, comment);
/** As `saysStandIn`, for a comment about a whole function, where `mock` or `temporary` may be its subject. */
export const saysStandInStrongly = (comment: string): boolean =>
  hasMarker(comment) || saysNotImplemented(comment) || says(STRONG_STAND_IN, comment);
/** Says why nothing happens here. */
export const saysNothingOnPurpose = (text: string): boolean => says(EXPLAINED, text);
export const namesNoop = (name: string): boolean => says(NOOP_NAME, name);
export const namesBase = (name: string): boolean => says(BASE_NAME, name);

const FILLER = /\blorem ipsum\b/i;
const FILLER_VALUES = new Set([
  'placeholder',
  'todo',
  'tbd',
  'fixme',
  'changeme',
  'change me',
  'change-me',
  'your text here',
  'insert text here',
  'sample text',
  'replace me',
]);
export const isFillerText = (text: string): boolean => says(FILLER, text);
export const isFillerValue = (text: string): boolean => FILLER_VALUES.has(text.trim().toLowerCase());

const CREDENTIAL_NAME =
  /(?:^|_)(?:password|passwd|pwd|passphrase|secret|api_?key|access_?key|private_?key|signing_?key|token|credentials?)$/;
const SAMPLE_VALUE =
  /^(?:x+|\*+|<.*>|\{.*\}|\[.*\]|%.*%|\$.*|(?:your|my|example|sample|test|dummy|fake|mock|change|replace|insert|placeholder)[\s_-].*|changeme)$/i;
const WORDS_ONLY = /^[a-z]+(?:[A-Z][a-z]+)*$|^[A-Za-z]+(?:[\s._:/-][A-Za-z]+)*$/;

/** Whether a constant string under this name looks like a credential in use, not like a name, an example or a path. */
export function isCredential(name: string, value: string): boolean {
  const words = name
    .replace(/['"]/g, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();
  if (!CREDENTIAL_NAME.test(words) || value.length < 8 || new Set(value).size < 6 || /\s/.test(value)) return false;
  if (SAMPLE_VALUE.test(value) || /^(?:https?:)?\/\//.test(value) || /^[./]/.test(value)) return false;
  return !WORDS_ONLY.test(value) || (/pass(?:word|wd|phrase)|pwd/.test(words) && /^[a-z]+$/i.test(value) && !/pass|pwd/i.test(value));
}
