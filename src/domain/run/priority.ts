/** Most urgent first; a row stores the index. */
export const PRIORITIES = ['critical', 'high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

export const isPriority = (value: unknown): value is Priority => PRIORITIES.some((priority) => priority === value);
export const priorityNumber = (priority: Priority): number => PRIORITIES.indexOf(priority);
export const priorityName = (number: number): Priority => PRIORITIES[number] ?? 'normal';
