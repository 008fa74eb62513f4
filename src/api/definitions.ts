import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { canonicalJson } from '../domain/definition/canonical.ts';
import type { Definition } from '../domain/definition/definition.ts';
import { readDefinition, readDefinitionValue } from '../domain/definition/read.schema.ts';
import type { Json } from '../domain/json.ts';
import { compile } from '../domain/plan/compile.ts';
import type { AskedOrder, Plan } from '../domain/plan/plan.ts';
import { hasNoPlaces, reordered } from '../domain/plan/strategy.ts';
import { invalidField } from '../domain/invalidRequest.ts';
import { Problem } from '../domain/problem.ts';

/** `canonical` is the canonical text of the definition as it came, with the order of its tasks where that means something. */
type Compiled = { definition: Definition; plan: Plan; planHash: Buffer; planText: string; canonical: string };

export type Definitions = {
  /**
   * Checks and compiles a definition as it came: an object, or YAML or JSON text. The same text again costs a look-up.
   * @param order what is asked for instead of what it says: another plan of the same definition
   * @throws Problem invalid_definition with all issues, invalid_request of the order
   */
  compile: (definition: string | object, order?: AskedOrder) => Compiled;
};

/** Of all definitions that are remembered, characters: what is compiled of them takes about twelve times as much. */
const REMEMBERED = 4 * 2 ** 20;

export function createDefinitions(): Definitions {
  const known = new LRUCache<string, Compiled>({ max: 100, maxSize: REMEMBERED, sizeCalculation: (_, text) => text.length });
  return {
    compile: (definition, order = {}) => {
      const given = typeof definition === 'string' ? `yaml\n${definition}` : `json\n${JSON.stringify(definition)}`;
      const text = asksNothing(order) ? given : `${JSON.stringify(order)}\n${given}`;
      const remembered = known.get(text);
      if (remembered) return remembered;
      const read = typeof definition === 'string' ? readDefinition(definition, 'yaml') : readDefinitionValue(definition as Json);
      if (!('definition' in read)) throw new Problem('invalid_definition', { detail: `${read.issues.length} faults`, issues: read.issues });
      const plan = compile(inOrder(read.definition, order));
      const planText = canonicalJson(plan);
      const { order: written } = read.definition;
      const canonical = canonicalJson(written === undefined ? definition : [definition, written]);
      const compiled = { definition: read.definition, plan, planText, canonical, planHash: createHash('sha256').update(planText).digest() };
      known.set(text, compiled);
      return compiled;
    },
  };
}

const asksNothing = ({ strategy, maxConcurrency }: AskedOrder): boolean => strategy === undefined && maxConcurrency === undefined;

/** @throws Problem invalid_request */
function inOrder(definition: Definition, order: AskedOrder): Definition {
  if (asksNothing(order)) return definition;
  if (!hasNoPlaces(definition, order)) return reordered(definition, order);
  throw invalidField('/maxConcurrency', 'sequential runs one task at a time', 'not_applicable');
}
