import { Worker } from 'node:worker_threads';
import type { SourceIssue } from '../../domain/validation/checkSource.ts';
import { Problem } from '../../domain/problem.ts';
import type { Answer, Job } from './thread.ts';

export type ParserThread = {
  /** One job at a time. @throws Problem validation_timed_out | unavailable | internal */
  run: (job: Job) => Promise<SourceIssue[]>;
  /** After a job that ran out of time or memory, or `end`. */
  ended: () => boolean;
  end: () => Promise<void>;
};

const MEMORY = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

/** @param timeoutMs of one job, from when the thread takes it up */
export function startParserThread(timeoutMs: number): ParserThread {
  const worker = new Worker(new URL('./thread.ts', import.meta.url), { resourceLimits: MEMORY });
  const ready = Promise.withResolvers<undefined>();
  ready.promise.catch(() => undefined); // A thread may end before anybody waits for it.
  let current: PromiseWithResolvers<Answer> | undefined;
  let ended = false;

  /** The job fails at once, even where native code keeps the thread busy a while longer. */
  const end = async (problem: Problem) => {
    if (ended) return;
    ended = true;
    ready.reject(problem);
    current?.reject(problem);
    await worker.terminate();
  };
  worker.on('message', (message: 'ready' | Answer) => {
    if (message === 'ready') ready.resolve(undefined);
    else current?.resolve(message);
  });
  worker.on('error', (cause) => void end(new Problem('validation_timed_out', { detail: 'The parser ran out of memory', cause })));
  worker.on('exit', () => void end(new Problem('unavailable', { detail: 'The parser ended' })));
  worker.unref();

  return {
    run: async (job) => {
      worker.ref();
      await ready.promise;
      current = Promise.withResolvers();
      worker.postMessage(job);
      const timer = setTimeout(() => void end(new Problem('validation_timed_out', { data: { timeoutMs } })), timeoutMs);
      const answer = await current.promise.finally(() => {
        clearTimeout(timer);
        worker.unref();
      });
      if ('issues' in answer) return answer.issues;
      throw new Problem('internal', { detail: 'The source could not be checked', cause: new Error(answer.error) });
    },
    ended: () => ended,
    end: () => end(new Problem('unavailable', { detail: 'The parser is closing' })),
  };
}
