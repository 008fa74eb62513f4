import { openapi } from './openapi.ts';
import { routes } from './routes.ts';

// docs/openapi.json is this output
process.stdout.write(`${JSON.stringify(openapi(routes), null, 1)}\n`);
