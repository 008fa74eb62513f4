import type { Config } from '../runtime/config.ts';

/**
 * Which task queues activities of users may be called on: those that the operator lists, each as a name or as a beginning
 * with `*`, and never our own, whose activities trust whoever calls them.
 */
export function taskQueueRule(config: Pick<Config, 'TIU_ACTIVITY_QUEUES' | 'TIU_TASK_QUEUE'>): (taskQueue: string) => boolean {
  const listed = config.TIU_ACTIVITY_QUEUES.split(',').map((entry) => entry.trim());
  const fits = (taskQueue: string) => (entry: string) =>
    entry.endsWith('*') ? taskQueue.startsWith(entry.slice(0, -1)) : entry !== '' && taskQueue === entry;
  return (taskQueue) => taskQueue !== config.TIU_TASK_QUEUE && listed.some(fits(taskQueue));
}
