import type { ApiIssue } from '../client/apiProblem.ts';

/** One line per fault, as compilers print them: `file:line:col pointer message [code]`. */
export function issueLines(issues: readonly ApiIssue[], file: string): string[] {
  return issues.map(({ pointer, line, column, code, message, hint }) => {
    const place = file === '' || line === undefined ? file : `${file}:${line}:${column ?? 1}`;
    return `${[place, pointer === '' ? '/' : pointer, message].filter((part) => part !== '').join(' ')}${hint === undefined ? '' : `; ${hint}`} [${code}]\n`;
  });
}
