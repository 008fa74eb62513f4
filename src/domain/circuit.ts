/** When attempts at a host stop being made. */
export type CircuitRules = {
  /** Faults in a row that open a circuit. */
  failures: number;
  /** How long an open one refuses, ms; then one probe may pass. */
  openMs: number;
};

/**
 * What is known of a host: how many faults in a row, or, once it is open, from when a probe may pass, ms since 1970.
 * `refused`: attempts turned away since then; `probing`: a probe is under way and has until then to tell.
 */
export type Circuit =
  { state: 'closed'; failures: number } | { state: 'open'; probeAt: number; refused: number } | { state: 'half_open'; probeUntil: number };

/** What an attempt says of its host: it works; the fault was the host's; or nothing, for instance because it was cancelled. */
export type Verdict = 'works' | 'fault' | 'nothing';

/** An attempt that may pass says afterwards, by `settle`, how it went; one that may not is to come back in so many ms. */
export type Admission = { passes: true; probe: boolean; circuit: Circuit } | { passes: false; retryInMs: number; circuit: Circuit };

export const CLOSED: Circuit = { state: 'closed', failures: 0 };

/** The first that was refused comes back for the probe, the others when it is likely to have told: this share of `openMs` later. */
const AFTER_THE_PROBE = 0.1;

/** Whether an attempt may be made. @param now ms since 1970 */
export function admit(circuit: Circuit, now: number, rules: CircuitRules): Admission {
  const probe: Circuit = { state: 'half_open', probeUntil: now + rules.openMs };
  if (circuit.state === 'closed') return { passes: true, probe: false, circuit };
  if (circuit.state === 'half_open') {
    if (now >= circuit.probeUntil) return { passes: true, probe: true, circuit: probe };
    return { passes: false, retryInMs: within(circuit.probeUntil - now, rules), circuit };
  }
  if (now >= circuit.probeAt) return { passes: true, probe: true, circuit: probe };
  const after = circuit.refused === 0 ? 0 : rules.openMs * AFTER_THE_PROBE;
  return {
    passes: false,
    retryInMs: within(circuit.probeAt - now, rules) + after,
    circuit: { ...circuit, refused: circuit.refused + 1 },
  };
}

/**
 * The circuit after an attempt that had passed. One that had passed before the circuit opened changes nothing any more.
 * @param now ms since 1970
 */
export function settle(circuit: Circuit, given: { verdict: Verdict; probe: boolean; now: number }, rules: CircuitRules): Circuit {
  const { verdict, probe, now } = given;
  if (probe && circuit.state === 'half_open') {
    if (verdict === 'works') return CLOSED;
    return { state: 'open', probeAt: verdict === 'fault' ? now + rules.openMs : now, refused: 0 };
  }
  if (circuit.state !== 'closed' || verdict === 'nothing') return circuit;
  if (verdict === 'works') return CLOSED;
  const failures = circuit.failures + 1;
  return failures < rules.failures ? { state: 'closed', failures } : { state: 'open', probeAt: now + rules.openMs, refused: 0 };
}

/** A clock that was set back must not keep a circuit open for longer than the rules say. */
const within = (ms: number, rules: CircuitRules): number => Math.min(Math.max(1, ms), rules.openMs);
