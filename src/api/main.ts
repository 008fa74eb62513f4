import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { readConfig } from '../runtime/config.ts';
import { giveBackMemory } from '../runtime/giveBackMemory.ts';
import { createLifecycle, stopOnSignals } from '../runtime/lifecycle.ts';
import { createLogger } from '../runtime/logger.ts';
import { createApi } from './createApi.ts';
import { createDeps } from './createDeps.ts';
import { createSockets } from './realtime/sockets.ts';

const config = readConfig(process.env);
const log = createLogger({ name: 'api', level: config.TIU_LOG_LEVEL });
const lifecycle = createLifecycle({ log });
stopOnSignals({ lifecycle, log }, config.TIU_SHUTDOWN_GRACE);

const { deps, close } = await createDeps(config, log);
lifecycle.onStop('dependencies', close);

const server = createApi(deps, lifecycle.stopping);
const sockets = createSockets(deps, server);
deps.metrics.observeSockets(sockets.count);
deps.metrics.observeLoad(deps.pressure.load);
lifecycle.onStop('server', async () => {
  const closed = sockets.close(); // takes no new connection, ends when the last one has
  // a connection that becomes idle later would otherwise hold the process until its client lets go
  const sweep = setInterval(() => {
    server.closeIdleConnections();
  }, 50);
  await closed;
  clearInterval(sweep);
});

giveBackMemory();
// Those past the backlog are not refused: their SYN is dropped, and they come again after 1, 3, 7, 15 s.
server.listen({ port: config.TIU_PORT, host: config.TIU_HOST, backlog: config.TIU_MAX_CONNECTIONS });
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
process.stdout.write(`${JSON.stringify({ ready: true, url: config.TIU_PUBLIC_URL ?? `http://${config.TIU_HOST}:${port}` })}\n`);
