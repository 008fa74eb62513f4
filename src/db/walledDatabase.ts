import type { OrmDatabase } from './database.ts';
import type { Walls } from './wall.ts';

/** The database as the work at hand may see it: through the wall inside of a workspace, else as the engine. */
export function walledDatabase(
  walls: Pick<Walls, 'current'>,
  { engine, walled }: { engine: OrmDatabase; walled: OrmDatabase },
): OrmDatabase {
  const current = () => (walls.current() === undefined ? engine : walled);
  return {
    url: engine.url,
    rows: (statement) => current().rows(statement),
    get orm() {
      return current().orm;
    },
    get pool() {
      return current().pool;
    },
    close: async () => {
      await Promise.all([engine.close(), walled.close()]);
    },
  };
}
