import { isStrict, type Finding, type Level, type Rule } from './rule.ts';
import type { SyntaxNode } from './syntaxNode.ts';
import { citesTicket, hasLooseMarker, hasMarker, isCredential, isFillerText, isFillerValue } from './words.ts';

/** What every language shares: comments and constant text. */

function todoComment(comment: SyntaxNode, level: Level): Finding | null {
  if (!hasMarker(comment.text) && !(isStrict(level) && hasLooseMarker(comment.text))) return null;
  const lines = comment.text.split('\n');
  const note = (lines.find(hasMarker) ?? lines.find(hasLooseMarker) ?? '').replace(/^[\s*/#]+|[\s*/]+$/g, '');
  return {
    severity: citesTicket(comment.text) ? 'info' : 'warning',
    message: `Unfinished work: ${note.length > 80 ? `${note.slice(0, 79)}…` : note}`,
    fix: 'Do it, or track it outside the code',
  };
}

export const commentChecks: readonly Rule[] = [{ id: 'todo-comment', from: 'normal', kinds: ['comment'], check: todoComment }];

/** @param isValue whether the text stands where a value is stored or returned; asked only where it matters */
export function fillerFinding(text: string, isValue: () => boolean): Finding | null {
  if (!isFillerText(text) && !(isFillerValue(text) && isValue())) return null;
  return { severity: 'warning', message: 'Filler text', fix: 'Write the real text' };
}

/** The value itself is never repeated in the message. */
export function credentialFinding(name: SyntaxNode, value: string): Finding | null {
  if (!isCredential(name.text, value)) return null;
  return {
    severity: 'error',
    message: `${name.text} looks like a credential in the source`,
    fix: 'Read it from configuration or a secret store',
    at: name,
  };
}
