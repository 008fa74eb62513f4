import { duration } from './duration.ts';
import { lineFor } from './eventLine.ts';
import { advance, newProgress, type Progress } from './progress.ts';
import type { View, ViewOptions } from './view.ts';

/** For logs and pipes: one line for each event that is worth one. */
export function plainView(options: ViewOptions): View {
  const progress = newProgress(options.percent);
  const say = (text: string) => {
    options.out(`${elapsed(progress).padStart(8)}  ${text}\n`);
  };
  return {
    progress,
    event: (event) => {
      advance(progress, event);
      const line = lineFor(progress, event, { total: options.total, weights: options.weights, parts: true });
      if (line !== undefined) say(line);
    },
    connection: (state) => {
      if (state === 'lost') say('connection lost, trying again');
    },
    end: () => undefined,
  };
}

const elapsed = ({ startedAt, at }: Progress): string => duration((at ?? 0) - (startedAt ?? at ?? 0));
