import { migrate } from './migrate.ts';

const applied = await migrate(process.env.DATABASE_URL ?? '');
process.stdout.write(`${JSON.stringify({ applied })}\n`);
