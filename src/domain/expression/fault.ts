type FaultCode = 'expression_failed' | 'expression_too_costly' | 'number_out_of_range';

/** A failure inside an expression, before it is known which expression it was. Becomes a Problem in `evaluate`. */
export class Fault extends Error {
  readonly code: FaultCode;
  /** Where in the expression's own text; set by the innermost node that knows. */
  offset: number | undefined;

  /** Words the message only when it is going to be read: a macro may pass over thousands of failures. */
  explain: (() => string) | undefined;

  constructor(code: FaultCode, message: string, offset?: number) {
    super(message);
    this.code = code;
    this.offset = offset;
  }
}

export const failed = (message: string, offset?: number): Fault => new Fault('expression_failed', message, offset);

/** A failure whose message takes work to word. */
export function failedLater(explain: () => string, offset: number): Fault {
  const fault = failed('', offset);
  fault.explain = explain;
  return fault;
}

/** True for a failure that `||`, `&&`, `all` and `exists` may pass over when another operand decides; the budget is never passed over. */
export const isPassable = (error: unknown): error is Fault => error instanceof Fault && error.code !== 'expression_too_costly';

/** Adds the place to a failure that has none yet. */
export function located(error: unknown, offset: number): unknown {
  if (error instanceof Fault) error.offset ??= offset;
  return error;
}
