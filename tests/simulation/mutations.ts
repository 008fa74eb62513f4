/** Rules broken on purpose, by text: each must be found within a number of seeds, or the simulation looks at the wrong things. */
export type Mutation = { file: string; from: string; to: string };

export const MUTATIONS: { readonly [name: string]: Mutation } = {
  'fence without epoch': {
    file: 'tests/simulation/database/journalCommit.ts',
    from: 'epoch !== 0 && epoch !== rows.state.epoch',
    to: 'epoch < 0',
  },
  'fence without token': {
    file: 'tests/simulation/database/journalCommit.ts',
    from: 'row.token !== null && sent.token === row.token',
    to: 'true',
  },
  'finished tasks may be written': {
    file: 'tests/simulation/database/journalCommit.ts',
    from: 'known && !mayReplace(known, sent)',
    to: 'known && known.finished === null && !mayReplace(known, sent)',
  },
  'close without command check': {
    file: 'tests/simulation/database/journalCommit.ts',
    from: 'state.open !== 0 || state.commandSeq > state.appliedSeq',
    to: 'state.open !== 0',
  },
  'close without intent check': {
    file: 'tests/simulation/database/journalCommit.ts',
    from: 'state.intent !== null && status !== MEANT[state.intent]',
    to: 'false',
  },
  'claim without epoch': {
    file: 'tests/simulation/database/execution.ts',
    from: '(item < 0 && rows.state.epoch !== epoch)',
    to: 'false',
  },
  'claim without a token of its own': {
    file: 'tests/simulation/database/execution.ts',
    from: "{ status: 'running', token, seq:",
    to: "{ status: 'running', token: row.token ?? token, seq:",
  },
  'finished effects may be claimed': {
    file: 'tests/simulation/database/execution.ts',
    from: 'known && known.finished !== null',
    to: "known?.status === 'blocked'",
  },
  'takeover without epoch': {
    file: 'tests/simulation/database/workers.ts',
    from: 'epoch: state.epoch + 1,',
    to: 'epoch: state.epoch,',
  },
  'begun runs may be begun': {
    file: 'tests/simulation/database/dispatch.ts',
    from: 'state.started === null && state.finished === null && (state.notBefore',
    to: 'state.finished === null && (state.notBefore',
  },
  'verdict before all dependencies have settled': {
    file: 'src/domain/plan/state.ts',
    from: 'if (at(state.settled, task) < edges) return UNDECIDED;',
    to: 'if (at(state.settled, task) < 1 && edges > 0) return UNDECIDED;',
  },
  'older news count': {
    file: 'src/domain/plan/state.ts',
    from: 'if (seq <= at(state.seq, task)) return false;',
    to: 'if (seq < 0) return false;',
  },
  'a sweep takes what is at work': {
    file: 'src/domain/plan/next.ts',
    from: "(intent !== 'force' && state.busy.has(task))",
    to: 'false',
  },
  'what was completed first is undone first': {
    file: 'src/domain/plan/next.ts',
    from: 'undoneSeq(state, b) - undoneSeq(state, a)',
    to: 'undoneSeq(state, a) - undoneSeq(state, b)',
  },
  'the next phase begins with a task open': {
    file: 'tests/simulation/database/execution.ts',
    from: "state.open !== (state.intent === 'force' ? 0 : state.total - main)",
    to: 'false',
  },
  'failures are worth no retry': {
    file: 'src/domain/plan/retry.ts',
    from: 'if (!policy || tries > policy.limit) return false;',
    to: 'if (!policy || tries > 0) return false;',
  },
  'stale loads again in place': {
    file: 'src/workflows/taskGraph.ts',
    from: 'if ((run.stale || long) && run.inFlight === 0) await again(run.id);',
    to: `if (run.stale && run.inFlight === 0) {
      const loaded = await local.loadRun(run.id);
      if ('epoch' in loaded) Object.assign(run, { epoch: loaded.epoch, cursor: loaded.cursor, stale: false });
    }
    if (long && run.inFlight === 0) await again(run.id);`,
  },
  'stale goes on': {
    file: 'src/workflows/flight.ts',
    from: "if ('stale' in answer) return void (run.stale = true);",
    to: "if ('stale' in answer) return;",
  },
  'a poke is lost while finishing': {
    file: 'src/workflows/taskGraph.ts',
    from: "'ended' in finished && !isPoked(signals)",
    to: "'ended' in finished",
  },
  'a poke is lost while closing': {
    file: 'src/workflows/taskGraph.ts',
    from: 'return signals.poked ? again(id) : end(id, signals, ending);',
    to: 'return end(id, signals, ending);',
  },
  'a poke is lost while reading': {
    file: 'src/workflows/flight.ts',
    from: '  run.signals.poked = false;\n',
    to: '',
  },
  'cancelled ends as Failed': {
    file: 'src/workflows/taskGraph.ts',
    from: "if (status === 'cancelled') {",
    to: "if (status === 'unknown') {",
  },
  'a cancel of its own is not asked for': {
    file: 'src/workflows/taskGraph.ts',
    from: 'if (!signals.cancelled) await local.requestCancel(id);',
    to: '',
  },
  'a cancel in Temporal is not noted': {
    file: 'src/workflows/taskGraph.ts',
    from: 'await local.noteCancel(run.id);',
    to: '',
  },
  'the wait of a stale execution spins': {
    file: 'src/workflows/taskGraph.ts',
    from: '(signals.poked && !run.stale) || isUnnoted',
    to: 'signals.poked || isUnnoted',
  },
  'the wait after a cancel spins': {
    file: 'src/workflows/taskGraph.ts',
    from: '(signals.poked && !run.stale) || isUnnoted(run)',
    to: '(signals.poked && !run.stale) || signals.cancelled',
  },
  'a refused row does not end its segment': {
    file: 'src/activities/segment.ts',
    from: 'else if (error instanceof Refused) segment.error ??= displaced();',
    to: 'else if (error instanceof Refused) return;',
  },
  'unknown commits are taken for done': {
    file: 'src/activities/segment.ts',
    from: '} else segment.error ??= asError(error);\n}',
    to: '}\n}',
  },
  'the end is proposed with a command unseen': {
    file: 'src/activities/endRun.ts',
    from: 'return closed ? { ended: await readEnding(deps, run) } : { reopened: true };',
    to: 'return closed !== undefined ? { ended: await readEnding(deps, run) } : { reopened: true };',
  },
  'who could not be told counts as told': {
    file: 'src/worker/dispatcher.ts',
    from: 'untold.filter((_, i) => taken[i])',
    to: 'untold',
  },
  'nobody looks for lost executions': {
    file: 'src/worker/diagnose.ts',
    from: "if (!execution) return 'lost';",
    to: "if (!execution) return 'fine';",
  },
  'a segment does not wait for its turn': {
    file: 'src/activities/segment.ts',
    from: 'return todo.first() === segment.turn ? todo.pop() : undefined;',
    to: 'return todo.pop();',
  },
  'what waits does not hold up the next': {
    file: 'src/domain/plan/turn.ts',
    from: 'const open = [...state.ready, ...state.waiting]',
    to: 'const open = [...state.ready]',
  },
  'places are not counted': {
    file: 'src/domain/plan/places.ts',
    from: 'state.graph.places - placed(state).size',
    to: 'state.graph.places + placed(state).size',
  },
  'a round of a loop counts as a try': {
    file: 'src/domain/plan/retry.ts',
    from: 'attempt - losses - round',
    to: 'attempt - losses + 0 * round',
  },
  'a round of a loop is forgotten': {
    file: 'tests/simulation/database/execution.ts',
    from: 'round: row.branch ?? 0,',
    to: 'round: 0,',
  },
  'a loop has one round more': {
    file: 'src/domain/plan/loop.ts',
    from: 'rounds < max',
    to: 'rounds <= max',
  },
  'an event may be taken again': {
    file: 'tests/simulation/database/events.ts',
    from: 'oldest.taken = tables.now();',
    to: '',
  },
  'what could not be undone is undone in the same generation': {
    file: 'src/domain/plan/cleanup.ts',
    from: 'return begun.has(compensation) ?',
    to: 'return begun.size < 0 ?',
  },
  'a fork keeps what did not complete': {
    file: 'src/domain/plan/fork.ts',
    from: "if (!isKeepable(status)) return { type: 'unfinished', status };",
    to: "if (status === 'pending') return { type: 'unfinished', status };",
  },
};
