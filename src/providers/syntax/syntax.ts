import type { SourceIssue } from '../../domain/validation/checkSource.ts';
import { Problem } from '../../domain/problem.ts';
import { startParserThread, type ParserThread } from './parserThread.ts';
import type { Job } from './thread.ts';

export type SyntaxOptions = {
  /** Threads, started when first needed. */
  size?: number;
  /** Of one job, from when a thread takes it up, ms. */
  timeoutMs?: number;
  /** A thread without work for so long ends, ms. */
  idleMs?: number;
  /** Of one source, UTF-16 units. */
  maxSource?: number;
};

export type Syntax = {
  /**
   * Parses and checks a source on another thread, first come first served.
   * @throws Problem source_too_large | validation_timed_out | unavailable | the reason of the signal
   */
  check: (job: Job, signal?: AbortSignal) => Promise<SourceIssue[]>;
  /** Ends all threads; what waits fails. */
  close: () => Promise<void>;
};

type Waiting = { job: Job; answer: PromiseWithResolvers<SourceIssue[]> };
type Idle = { thread: ParserThread; timer: NodeJS.Timeout };

/** A pool of parser threads. One that runs out of time is thrown away and replaced. */
export function createSyntax(options: SyntaxOptions = {}): Syntax {
  const { size = 1, timeoutMs = 10_000, idleMs = 30_000, maxSource = 1_048_576 } = options;
  const live = new Set<ParserThread>();
  const idle: Idle[] = [];
  const queue: Waiting[] = [];
  let closed = false;

  async function work(thread: ParserThread): Promise<void> {
    while (!thread.ended()) {
      const next = queue.shift();
      if (next === undefined) break;
      await thread.run(next.job).then(next.answer.resolve, next.answer.reject);
    }
    if (thread.ended()) retire(thread);
    else rest(thread);
  }

  function rest(thread: ParserThread): void {
    const timer = setTimeout(() => {
      idle.splice(0, idle.length, ...idle.filter((one) => one.thread !== thread));
      void thread.end();
      retire(thread);
    }, idleMs);
    idle.push({ thread, timer: timer.unref() });
  }

  function retire(thread: ParserThread): void {
    live.delete(thread);
    if (queue.length > 0 && !closed) dispatch();
  }

  function dispatch(): void {
    const rested = idle.pop();
    clearTimeout(rested?.timer);
    if (rested === undefined && live.size >= size) return;
    const thread = rested?.thread ?? startParserThread(timeoutMs);
    live.add(thread);
    void work(thread);
  }

  return {
    check: async (job, signal) => {
      if (closed) throw new Problem('unavailable');
      signal?.throwIfAborted();
      if (job.source.length > maxSource) throw new Problem('source_too_large', { data: { size: job.source.length, max: maxSource } });
      const waiting: Waiting = { job, answer: Promise.withResolvers() };
      const abort = () => {
        if (queue.includes(waiting)) queue.splice(queue.indexOf(waiting), 1);
        waiting.answer.reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort);
      queue.push(waiting);
      dispatch();
      return waiting.answer.promise.finally(() => signal?.removeEventListener('abort', abort));
    },
    close: async () => {
      closed = true;
      for (const waiting of queue.splice(0)) waiting.answer.reject(new Problem('unavailable'));
      for (const { timer } of idle) clearTimeout(timer);
      await Promise.all([...live].map((thread) => thread.end()));
    },
  };
}
