import type { RunEvent } from '../domain/run/events.ts';
import type { Progress, Weights } from './progress.ts';

export type ViewOptions = {
  out: (text: string) => void;
  /** Tasks of the run. */
  total: number;
  title: string;
  weights: Weights;
  /** Percentage from which it begins. */
  percent: number;
};

/** Shows a run while it goes. */
export type View = {
  progress: Progress;
  event: (event: RunEvent) => void;
  connection: (state: 'connected' | 'lost') => void;
  /** Leaves the last picture standing. */
  end: () => void;
};
