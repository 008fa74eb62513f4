import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Problem } from '../../domain/problem.ts';
import type { Config } from '../../runtime/config.ts';

type Limits = Pick<
  Config,
  | 'TIU_MAX_QUEUED_SUBMITS'
  | 'TIU_MAX_QUEUED_READS'
  | 'TIU_MAX_BODIES'
  | 'TIU_MAX_EVENT_LOOP_DELAY'
  | 'TIU_MAX_BODY'
  | 'TIU_MAX_INFLIGHT_PER_KEY'
>;

/** What a process may have in hand at once. Past any of its limits requests are refused before anything of them is read. */
export type Pressure = {
  /** @param request.waitedMs since it arrived @throws Problem overloaded */
  check: (request: { writes: boolean; waitedMs: number }) => void;
  /**
   * Counts bytes of a body that are now in memory. @returns gives them back
   * @throws Problem overloaded
   */
  holdBody: (bytes: number) => () => void;
  /**
   * One submit of a principal, who may have only so many under way, so that others find room.
   * @returns ends it @throws Problem rate_limited
   */
  holdSubmit: (principal: string) => () => void;
  /** What is in hand: submits and reads that wait, bytes of bodies, the delay of the event loop in ms. */
  load: () => Record<'submits' | 'reads' | 'bodies' | 'delay', number>;
  close: () => void;
};

/** How often the delay of the event loop is measured, ms. */
const WINDOW_MS = 200;
const RESOLUTION_MS = 20;
const RETRY_MS = 1_000;

/** @param waiting of submits that wait for the database, and reads that wait for a connection */
export function createPressure(limits: Limits, waiting: { submits: () => number; reads: () => number }): Pressure {
  const delay = watchDelay();
  const submits = new Map<string, number>();
  let bodies = 0;
  const refuse = (what: string) => {
    throw new Problem('overloaded', { detail: what, retryAfterMs: RETRY_MS });
  };
  return {
    check: ({ writes, waitedMs }) => {
      if (Math.max(delay.ms(), waitedMs) > limits.TIU_MAX_EVENT_LOOP_DELAY) refuse('The process is busy');
      if (waiting.reads() >= limits.TIU_MAX_QUEUED_READS) refuse('Too many requests wait for the database');
      if (writes && waiting.submits() >= limits.TIU_MAX_QUEUED_SUBMITS) refuse('Too many submits wait for the database');
    },
    holdBody: (bytes) => {
      // a single body always finds room: it is bounded by itself
      if (bodies > 0 && bodies + bytes > limits.TIU_MAX_BODIES) refuse('Too many bytes of request bodies are in hand');
      bodies += bytes;
      return () => {
        bodies -= bytes;
      };
    },
    holdSubmit: (principal) => {
      const n = submits.get(principal) ?? 0;
      if (n >= limits.TIU_MAX_INFLIGHT_PER_KEY)
        throw new Problem('rate_limited', {
          detail: `At most ${limits.TIU_MAX_INFLIGHT_PER_KEY} submits of a key at once`,
          retryAfterMs: RETRY_MS,
        });
      submits.set(principal, n + 1);
      return () => {
        const left = (submits.get(principal) ?? 1) - 1;
        if (left > 0) submits.set(principal, left);
        else submits.delete(principal);
      };
    },
    load: () => ({ submits: waiting.submits(), reads: waiting.reads(), bodies, delay: delay.ms() }),
    close: delay.close,
  };
}

/** Mean delay of the event loop beyond the resolution of the measurement: the lesser of two windows, as a single long step is no overload. */
function watchDelay(): { ms: () => number; close: () => void } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let ms = 0;
  let before = 0;
  const timer = setInterval(() => {
    const mean = histogram.count > 0 ? Math.max(0, histogram.mean / 1e6 - RESOLUTION_MS) : 0;
    ms = Math.min(mean, before);
    before = mean;
    histogram.reset();
  }, WINDOW_MS);
  timer.unref();
  return {
    ms: () => ms,
    close: () => {
      clearInterval(timer);
      histogram.disable();
    },
  };
}
