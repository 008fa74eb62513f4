/** What the language has and this version does not run yet. The one place: remove a word here when it works. */
export const NOT_SUPPORTED = {
  root: ['budget'],
  task: ['gate', 'strategy', 'budget'],
  kinds: ['ai', 'agent', 'swarm', 'check.run'],
  /** Kinds of which every one begins so. */
  kindFamilies: ['backup.', 'restore.', 'moderation.'],
} as const satisfies Record<string, readonly string[]>;

export const kindNotSupported = (kind: string): boolean =>
  NOT_SUPPORTED.kinds.some((name) => name === kind) || NOT_SUPPORTED.kindFamilies.some((family) => kind.startsWith(family));
