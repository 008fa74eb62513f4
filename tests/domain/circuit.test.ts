import { expect, test } from '@jest/globals';
import { admit, CLOSED, settle, type Circuit, type Verdict } from '../../src/domain/circuit.ts';

const rules = { failures: 3, openMs: 1_000 };

/** What happens to a host: an attempt that is over at once, one that is only admitted, or the end of the last such one. */
type Step = [at: number, what: Verdict | 'begin' | `end ${Verdict}`, expected: 'passes' | 'probes' | number | 'ends'];

function play(steps: Step[]): { seen: Step[2][]; circuit: Circuit } {
  let circuit: Circuit = CLOSED;
  const begun: boolean[] = [];
  const seen = steps.map(([now, what]): Step[2] => {
    if (what.startsWith('end ')) {
      circuit = settle(circuit, { verdict: what.slice(4) as Verdict, probe: begun.shift() ?? false, now }, rules);
      return 'ends';
    }
    const admission = admit(circuit, now, rules);
    circuit = admission.circuit;
    if (!admission.passes) return admission.retryInMs;
    if (what === 'begin') begun.push(admission.probe);
    else circuit = settle(circuit, { verdict: what as Verdict, probe: admission.probe, now }, rules);
    return admission.probe ? 'probes' : 'passes';
  });
  return { seen, circuit };
}

const opened: Step[] = [
  [0, 'fault', 'passes'],
  [1, 'fault', 'passes'],
  [2, 'fault', 'passes'],
];

test.each<[string, Step[], Circuit['state']]>([
  ['one fault less than the rule says keeps it closed', opened.slice(1), 'closed'],
  ['so many faults in a row open it', opened, 'open'],
  [
    'a success in between begins anew',
    [
      [0, 'fault', 'passes'],
      [0, 'fault', 'passes'],
      [0, 'works', 'passes'],
      [0, 'fault', 'passes'],
      [0, 'fault', 'passes'],
    ],
    'closed',
  ],
  [
    'a cancelled attempt says nothing, neither way',
    [
      [0, 'fault', 'passes'],
      [0, 'fault', 'passes'],
      [0, 'nothing', 'passes'],
      [0, 'fault', 'passes'],
    ],
    'open',
  ],
  [
    'an open one refuses until the time is over, and tells how long that is',
    [...opened, [2, 'works', 1_000], [1_001, 'works', 101]],
    'open',
  ],
  [
    'the first that was refused comes back for the probe, the others a little later',
    [...opened, [502, 'works', 500], [502, 'works', 600], [502, 'works', 600]],
    'open',
  ],
  [
    'when it is over one attempt may probe, and no other meanwhile',
    [...opened, [1_002, 'begin', 'probes'], [1_003, 'works', 999]],
    'half_open',
  ],
  [
    'a probe that works closes it',
    [...opened, [1_002, 'works', 'probes'], [1_002, 'fault', 'passes'], [1_002, 'fault', 'passes']],
    'closed',
  ],
  ['a probe that fails opens it for as long again', [...opened, [1_002, 'fault', 'probes'], [2_001, 'works', 1]], 'open'],
  [
    'a probe that was cancelled leaves the probe to the next',
    [...opened, [1_002, 'nothing', 'probes'], [1_002, 'works', 'probes']],
    'closed',
  ],
  ['a probe that never tells is followed by another', [...opened, [1_002, 'begin', 'probes'], [2_002, 'works', 'probes']], 'closed'],
  [
    'what had passed before it opened changes nothing any more',
    [[0, 'begin', 'passes'], [0, 'begin', 'passes'], ...opened, [3, 'end works', 'ends'], [3, 'end fault', 'ends'], [1_001, 'works', 1]],
    'open',
  ],
  [
    'a clock that was set back does not keep it open for longer',
    [
      [90_000, 'fault', 'passes'],
      [90_000, 'fault', 'passes'],
      [90_000, 'fault', 'passes'],
      [0, 'works', 1_000],
    ],
    'open',
  ],
])('%s', (_claim, steps, state) => {
  const { seen, circuit } = play(steps);
  expect(seen).toEqual(steps.map(([, , expected]) => expected));
  expect(circuit.state).toBe(state);
});
