/** Bounds of one definition. Past any of them the answer is an issue, never a slow machine. */
export const LIMITS = {
  /** UTF-8 bytes of the text, and of the value once its aliases are written out. */
  textBytes: 8 * 1024 * 1024,
  /** Characters of YAML, which takes longer to read. */
  yamlBytes: 1024 * 1024,
  /** Values (scalars, lists, objects) once aliases are written out. */
  values: 500_000,
  /** Lists and objects inside each other. */
  depth: 64,
  /** How often YAML aliases may be followed in all. */
  aliases: 100,
  /** Those of maps inside of it counted. */
  tasks: 10_000,
  /** Maps with tasks of their own, those inside each other counted. */
  mapTasks: 100,
  /** Bytes of the graph that crosses into a run's Temporal history. */
  graphBytes: 1024 * 1024,
  /** Tasks that one task may depend on. */
  dependencies: 1_000,
  /** Expressions in a definition, and in one task. */
  expressions: 20_000,
  taskExpressions: 1_000,
  /** Tasks of a run that are at work elsewhere at once, as a definition may bound them. */
  runConcurrency: 500,
  /** Items of a mapped task that run at once. */
  mapConcurrency: 500,
  /** Elements that one item of a map may be made of. */
  mapBatch: 10_000,
  /** Rounds of one task. */
  rounds: 10_000,
  /** Reminders of one approval, and the shortest time to the first and between them, ms. */
  reminders: 20,
  reminderMs: 1_000,
  /** Definitions, and runs, inside each other; the outermost is not counted. */
  children: 8,
  /** Limits of one task, and of the tasks of one run. */
  limits: 8,
  /** Runs or attempts that one key may let through at once. */
  slots: 10_000,
  /** Attempts that one key may let through in its time. */
  rate: 1_000_000,
  /** Characters of a concurrency key or a key of a limit, once evaluated. */
  keyLength: 256,
  switchCases: 100,
  labels: 64,
  labelLength: 256,
  titleLength: 200,
  /** Tries of one task after the first. */
  retries: 100,
  /** Longest duration that may be written, ms: ten years. */
  durationMs: 3650 * 24 * 60 * 60 * 1000,
  /** Different JSON Schemas in a definition. */
  schemas: 200,
  /** Characters of one JSON Schema. */
  schemaBytes: 256 * 1024,
  /** Characters of a regular expression in one. */
  patternLength: 1_000,
  /** References followed while one value is matched. */
  schemaSteps: 1_000_000,
  /** Unknown keys of one object that are told. */
  unknownKeys: 50,
  /** Issues in one answer; the rest is counted in a last one. */
  issues: 200,
} as const;
