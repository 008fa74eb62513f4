import { openDatabase } from '../src/db/database.ts';
import { ensureOwner } from '../src/db/repositories/owner.ts';
import { connect } from './connection.ts';
import { definitionOf, single } from './definitions.ts';
import { complete, latencies, ownStack, pool, type Context, type Row, type Scenario } from './scenario.ts';
import { quantile } from './spread.ts';

const LONE = 30;

/** The time of a lone run of one workspace, idle and behind the queue of another. */
async function lone({ stack, connection, quick }: Context): Promise<Row> {
  const own = ownStack(stack);
  const db = await openDatabase({ url: own.database, role: 'tiu_engine', max: 1 });
  const { key } = await ensureOwner(db, { workspaceName: 'lone' });
  const alone = connect({ url: stack.url, token: key });
  const many = async () => {
    const times: number[] = [];
    for (let i = 0; i < (quick ? 5 : LONE); i++) times.push(await complete(alone, definitionOf(single())));
    return times;
  };
  const queued = async () =>
    Number(
      (
        await db.rows<{ n: string }>({
          name: 'queued',
          text: 'select count(*) as n from run_state where started is null and finished is null',
          values: [],
        })
      )[0]?.n,
    );
  try {
    await many();
    const idle = await many();
    const runs = quick ? 300 : 11_000;
    await pool(runs, 32, async () => {
      await connection.submit(definitionOf(single()));
    });
    const before = await queued();
    const behind = await many();
    return {
      figures: {
        'queued of the other before': before,
        'queued of the other after': await queued(),
        ...prefixed('idle', latencies(idle)),
        ...prefixed('behind', latencies(behind)),
        'behind / idle': quantile(behind, 0.5) / quantile(idle, 0.5),
      },
    };
  } finally {
    alone.close();
    await db.close();
  }
}

const prefixed = (prefix: string, figures: Record<string, number>) =>
  Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix} ${name}`, value]));

export const loneScenario: Scenario = {
  name: 'lone',
  title: 'a lone run beside 10,000 queued of another workspace',
  reps: 1,
  own: true,
  measure: lone,
};
