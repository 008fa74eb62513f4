/** Folders whose suites start processes of their own; those that take longest first. */
const HEAVY = ['tests/chaos/', 'tests/simulation/', 'tests/e2e/'];
/** So many of the others take about as long as one of these. */
const LIGHT_FOR_EACH = 5;

/**
 * The order of suites where nothing is known of how long they take: those with stacks of their own are spread over the run, so that
 * they meet suites that need little, and none of them comes last and alone.
 */
export default class Order {
  sort(tests) {
    const rank = ({ path }) => HEAVY.findIndex((folder) => path.includes(folder));
    const size = ({ context, path }) => context.hasteFS.getSize(path) ?? 0;
    const largestFirst = (a, b) => size(b) - size(a) || (a.path < b.path ? -1 : 1);
    const heavy = tests.filter((test) => rank(test) >= 0).sort((a, b) => rank(a) - rank(b) || largestFirst(a, b));
    const light = tests.filter((test) => rank(test) < 0).sort(largestFirst);
    return heavy.flatMap((test) => [test, ...light.splice(0, LIGHT_FOR_EACH)]).concat(light);
  }

  cacheResults() {
    // what one machine took says little of another, and a clean clone has none
  }
}
