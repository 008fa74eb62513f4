import { createInstance, type Command, type Job } from '../substitutes/workflow.ts';
import { runLocal, scheduleActivity } from './activityTasks.ts';
import { add, aHostOf, isRunning, type Cached, type Execution, type Host, type Server, type Task } from './execution.ts';

const STICKY_MS = 2_000;
const NOBODY_MS = 150;
const HEARTBEAT_SHARE = 0.8;

/** Hands the execution's news to a worker, unless one is at it. */
export function wake(server: Server, execution: Execution): void {
  if (!isRunning(execution) || execution.task || execution.dispatching) return;
  if (execution.pending.length === 0 && !execution.wanted) return;
  execution.dispatching = true;
  server.clock.after(
    server.latency(),
    () => {
      dispatch(server, execution);
    },
    0,
  );
}

function dispatch(server: Server, execution: Execution): void {
  const { clock } = server;
  const again = (ms: number): void =>
    void clock.after(
      ms,
      () => {
        dispatch(server, execution);
      },
      0,
    );
  if (!isRunning(execution)) return;
  if (server.down) {
    again(NOBODY_MS);
    return;
  }
  const { sticky } = execution;
  if (sticky && (clock.standing(sticky.owner) !== 'alive' || !server.hosts.has(sticky))) {
    execution.sticky = null;
    again(STICKY_MS);
    return;
  }
  const host = sticky ?? aHostOf(server);
  if (!host) {
    again(NOBODY_MS);
    return;
  }
  execution.dispatching = false;
  server.trace(`${execution.id} workflow task to worker ${host.owner}`);
  begin(server, execution, host);
  const { task } = execution;
  clock.after(
    server.latency(),
    () => {
      if (task) receive(server, execution, task);
    },
    host.owner,
  );
}

function begin(server: Server, execution: Execution, host: Host): void {
  const task: Task = { host, jobs: execution.pending, activations: [], commands: [], begun: server.clock.now() };
  execution.pending = [];
  execution.wanted = false;
  execution.task = task;
  execution.sticky = host;
  server.clock.after(
    execution.taskTimeoutMs,
    () => {
      if (execution.task !== task) return;
      server.trace(`${execution.id} workflow task timed out`);
      fail(server, execution, task);
      execution.sticky = null;
    },
    0,
  );
}

/** The task is repeated by somebody, who is told the same and what has come since. */
function fail(server: Server, execution: Execution, task: Task): void {
  execution.task = null;
  execution.wanted = true;
  execution.attempt++;
  execution.pending = [...task.jobs, ...execution.buffered];
  execution.buffered = [];
  wake(server, execution);
}

/** In the worker. */
function receive(server: Server, execution: Execution, task: Task): void {
  const { cache } = task.host;
  const known = cache.get(execution.runId);
  if (execution.task !== task && known?.task) return; // came too late: the worker is at the one that followed
  const fresh = known && !known.ahead && known.applied === execution.recorded.length;
  const cached = fresh ? known : replay(server, execution);
  cache.set(execution.runId, cached);
  cached.task = task;
  cached.ahead = true;
  if (!fresh) for (const seq of cached.locals) startLocal(server, execution, { cached, seq });
  activate(server, execution, { cached, jobs: task.jobs });
  watch(server, execution, cached);
}

const digest = (commands: readonly Command[]): string =>
  commands
    .map((command) => `${command.type} ${'seq' in command ? command.seq : command.how} ${'name' in command ? command.name : ''}`)
    .join();

const seqs = new WeakMap<Cached, Map<number, Extract<Command, { type: 'local' | 'activity' }>>>();

function note(cached: Cached, jobs: readonly Job[], commands: readonly Command[]): void {
  const known = seqs.get(cached) ?? new Map<number, Extract<Command, { type: 'local' | 'activity' }>>();
  seqs.set(cached, known);
  for (const job of jobs) if ('seq' in job) cached.locals.delete(job.seq);
  for (const command of commands) {
    if (command.type !== 'local') continue;
    known.set(command.seq, command);
    cached.locals.add(command.seq);
  }
}

function replay(server: Server, execution: Execution): Cached {
  const workflow = server.workflows[execution.type] ?? server.workflows.default;
  if (!workflow) throw new Error(`no workflow ${execution.type}`);
  const instance = createInstance(workflow, execution.args);
  const cached: Cached = { instance, applied: 0, ahead: false, locals: new Set(), inbox: [], task: null, sending: false };
  for (const { jobs, info, wanted } of execution.recorded) {
    const commands = instance.activate(jobs, info);
    if (digest(commands) !== wanted) throw new Error(`${execution.id} is not deterministic: ${wanted} became ${digest(commands)}`);
    note(cached, jobs, commands);
    cached.applied++;
  }
  return cached;
}

function activate(server: Server, execution: Execution, { cached, jobs }: { cached: Cached; jobs: Job[] }): void {
  const { task } = cached;
  if (!task) return;
  const historyLength = Math.round((execution.historyLength + task.activations.length) * server.weight);
  const info = { now: server.clock.now(), historyLength, continueAsNewSuggested: historyLength > 4_000 };
  const commands = cached.instance.activate(jobs, info);
  server.trace(`${execution.id} ${jobs.map((job) => ('seq' in job ? `${job.type} ${job.seq}` : job.type)).join()} → ${digest(commands)}`);
  task.activations.push({ jobs, info, wanted: digest(commands) });
  task.commands.push(...commands);
  note(cached, jobs, commands);
  for (const command of commands) if (command.type === 'local') startLocal(server, execution, { cached, seq: command.seq });
  if (cached.locals.size === 0 || commands.some(({ type }) => type === 'end')) respond(server, execution, cached);
}

function startLocal(server: Server, execution: Execution, { cached, seq }: { cached: Cached; seq: number }): void {
  const command = seqs.get(cached)?.get(seq);
  const host = cached.task?.host;
  if (!command || !host) return;
  const isCurrent = (): boolean => host.cache.get(execution.runId) === cached;
  runLocal(server, { host, command, isCurrent }, (job) => {
    if (!isCurrent()) return;
    cached.inbox.push(job);
    work(server, execution, cached);
  });
}

function work(server: Server, execution: Execution, cached: Cached): void {
  while (cached.inbox.length > 0 && cached.task && !cached.sending) {
    const job = cached.inbox.shift();
    if (job) activate(server, execution, { cached, jobs: [job] });
  }
}

/** A task whose local activities take long is completed as far as it is, and goes on in the same worker. */
function watch(server: Server, execution: Execution, cached: Cached): void {
  const { task } = cached;
  server.clock.after(execution.taskTimeoutMs * HEARTBEAT_SHARE, () => {
    if (cached.task === task && !cached.sending) respond(server, execution, cached);
  });
}

function respond(server: Server, execution: Execution, cached: Cached): void {
  const { task } = cached;
  if (!task || cached.sending) return;
  cached.sending = true;
  const { host } = task;
  const evict = (): void => {
    server.clock.after(
      server.latency(),
      () => {
        if (host.cache.get(execution.runId) === cached) host.cache.delete(execution.runId);
        cached.task = null;
      },
      host.owner,
    );
  };
  server.clock.after(
    server.latency(),
    () => {
      if (server.down || execution.task !== task || !isRunning(execution)) {
        server.trace(`${execution.id} came too late`);
        evict();
        return;
      }
      const end = task.commands.find((command) => command.type === 'end');
      if (end && execution.buffered.length > 0) {
        server.trace(`${execution.id} may not close: it has news`);
        evict();
        fail(server, execution, task);
        return;
      }
      complete(server, execution, { task, cached });
      if (!end) proceed(server, execution, cached);
    },
    0,
  );
}

/** At the server: what the task wanted is recorded and done. */
function complete(server: Server, execution: Execution, { task, cached }: { task: Task; cached: Cached }): void {
  execution.task = null;
  execution.attempt = 1;
  execution.recorded.push(...task.activations);
  cached.applied = execution.recorded.length;
  execution.historyLength += 3 + task.jobs.length + task.commands.length;
  execution.pending = execution.buffered;
  execution.buffered = [];
  for (const command of task.commands) carryOut(server, execution, command);
}

function proceed(server: Server, execution: Execution, cached: Cached): void {
  const host = execution.sticky;
  if (cached.locals.size === 0 || !host) {
    cached.task = null;
    cached.ahead = false;
    cached.sending = false;
    wake(server, execution);
    return;
  }
  begin(server, execution, host);
  const { task } = execution;
  server.clock.after(
    server.latency(),
    () => {
      cached.task = task;
      cached.sending = false;
      if (task && task.jobs.length > 0) activate(server, execution, { cached, jobs: task.jobs });
      work(server, execution, cached);
      watch(server, execution, cached);
    },
    host.owner,
  );
}

function carryOut(server: Server, execution: Execution, command: Command): void {
  if (command.type === 'activity') {
    scheduleActivity(server, execution, command);
    return;
  }
  if (command.type === 'cancelTimer') return void execution.timers.delete(command.seq);
  if (command.type === 'timer') {
    execution.timers.add(command.seq);
    server.clock.after(
      command.ms,
      () => {
        if (!execution.timers.delete(command.seq)) return;
        add(server, execution, { type: 'fire', seq: command.seq });
        wake(server, execution);
      },
      0,
    );
    return;
  }
  if (command.type !== 'end') return;
  execution.status = command.how === 'CONTINUED' ? 'CONTINUED_AS_NEW' : command.how;
  server.trace(`${execution.id} ${execution.status}`);
  server.onClosed(execution, command);
  if (command.how === 'CONTINUED')
    launch(server, { ...execution, args: command.args[0], taskTimeoutMs: command.taskTimeoutMs ?? execution.taskTimeoutMs });
}

type Launch = Pick<Execution, 'id' | 'type' | 'args' | 'taskTimeoutMs'>;

/** A new execution, in place of the one before. */
export function launch(server: Server, { id, type, args, taskTimeoutMs }: Launch): Execution {
  const execution: Execution = {
    ...{ id, type, args, taskTimeoutMs, runId: `${id}#${++server.made}`, status: 'RUNNING', terminatedBy: '' },
    ...{
      recorded: [],
      historyLength: 2,
      pending: [],
      buffered: [],
      task: null,
      wanted: true,
      dispatching: false,
      attempt: 1,
      sticky: null,
    },
    ...{ activities: new Map(), timers: new Set() },
  };
  server.executions.set(id, execution);
  wake(server, execution);
  return execution;
}
