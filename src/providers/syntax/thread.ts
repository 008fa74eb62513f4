import { parentPort } from 'node:worker_threads';
import { checkSource, type RuleSet, type SourceIssue } from '../../domain/validation/checkSource.ts';
import type { Language } from '../../domain/validation/syntaxNode.ts';
import { parseSource } from './syntaxTree.ts';

export type Job = { language: Language; source: string; rules: RuleSet };
export type Answer = { issues: SourceIssue[] } | { error: string };

function answer({ language, source, rules }: Job): Answer {
  try {
    return { issues: checkSource(parseSource(language, source), language, rules) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on('message', (job: Job) => parentPort?.postMessage(answer(job)));
parentPort?.postMessage('ready');
