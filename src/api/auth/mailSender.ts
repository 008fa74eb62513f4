import { claimMail, postponeMail, removeMail, type WaitingMail } from '../../db/mails.ts';
import type { Rows } from '../../db/transaction.ts';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { retryDelayMs } from '../../domain/plan/retry.ts';
import { Problem } from '../../domain/problem.ts';
import type { Mailer } from '../../providers/mail/mailer.ts';
import type { SecretCipher } from '../../providers/secretCipher/secretCipher.ts';
import type { Log } from '../log.ts';
import type { ApiMetrics } from '../metrics.ts';

export type MailSenderDeps = {
  db: Rows;
  mailer: Mailer;
  cipher: SecretCipher;
  log: Log;
  metrics: Pick<ApiMetrics, 'mails'>;
  /** ms since the epoch */
  clock: () => number;
  /** In [0, 1). */
  random: () => number;
};

/** What is sealed of a mail. Without a recipient it is only there so that as much is done for nobody as for somebody. */
export type MailText = { to: string | null; subject: string; text: string };

/** Where a mail is sealed for. */
export const mailPlace = (id: string) => ({ workspace: SYSTEM_WORKSPACE, name: `mail/${id}` });

export type MailSender = {
  /** Looks for mails now; kept when nothing is due. */
  idle: () => Promise<void>;
  /** Ends the try under way, whose mail is due at once for others. */
  close: () => Promise<void>;
};

/** Not at once: what a mail costs would be felt by the next request, and who asks twice would learn whether the first had one, ms. */
const PERIOD_MS = 1_000;
/** Of one try. */
const TIMEOUT_MS = 30_000;
/** Longer than a try and the record of how it ended. */
const LEASE_MS = 60_000;
/** An hour at most between two tries. */
const AGAIN = { limit: Infinity, delayMs: 1_000, backoff: 2, maxDelayMs: 3_600_000, jitter: 0.2 };

/**
 * Hands over the mails that wait in the database, one at a time, always under the same id, until the server takes or refuses them
 * or they are of no use any more. Any number of processes may do so: a mail is taken before it is sent.
 */
export function createMailSender(deps: MailSenderDeps): MailSender {
  const ending = new AbortController();
  let wanted = false;
  let working: Promise<void> | undefined;
  const work = async () => {
    while (wanted) {
      wanted = false;
      try {
        while (!ending.signal.aborted && (await sendNext(deps, ending.signal)));
      } catch (error) {
        deps.log.error({ err: error }, 'mail.queue_failed');
      }
    }
    working = undefined;
  };
  const kick = () => {
    wanted = true;
    if (!ending.signal.aborted) working ??= work();
  };
  const timer = setInterval(kick, PERIOD_MS);
  timer.unref();
  return {
    idle: async () => {
      kick();
      await working;
    },
    close: async () => {
      clearInterval(timer);
      ending.abort(new Problem('unavailable'));
      await working;
    },
  };
}

/** @returns false = none is due */
async function sendNext(deps: MailSenderDeps, ending: AbortSignal): Promise<boolean> {
  const mail = await claimMail(deps.db, { now: deps.clock(), leaseMs: LEASE_MS });
  if (!mail) return false;
  const again = await trySending(deps, mail, ending);
  if (again === undefined) await removeMail(deps.db, mail);
  else await postponeMail(deps.db, mail, again);
  return true;
}

/** @returns when it is to be tried again, ms since the epoch; undefined = this mail is over */
async function trySending(deps: MailSenderDeps, mail: WaitingMail, ending: AbortSignal): Promise<number | undefined> {
  const { log, metrics, clock } = deps;
  const key = mail.id;
  const [over, again] = [mail.until <= clock(), clock() + retryDelayMs(AGAIN, mail.tries, deps.random())];
  if (over) {
    log.error({ key, tries: mail.tries - 1 }, 'mail.expired');
    metrics.mails.inc({ result: 'expired' });
    return undefined;
  }
  try {
    const { to, subject, text } = JSON.parse(deps.cipher.open(mailPlace(mail.id), { keyId: mail.key_id, sealed: mail.sealed })) as MailText;
    if (to === null) return undefined;
    await deps.mailer.send({ key, to: [to], subject, text, signal: AbortSignal.any([ending, AbortSignal.timeout(TIMEOUT_MS)]) });
    metrics.mails.inc({ result: 'sent' });
    return undefined;
  } catch (error) {
    if (ending.aborted) return clock();
    // a key that is not known yet, here, may be to another process
    const final = error instanceof Problem && !error.retryable && error.code !== 'secret_key_unknown';
    log.error({ key, tries: mail.tries, err: error }, final ? 'mail.failed' : 'mail.postponed');
    metrics.mails.inc({ result: final ? 'failed' : 'postponed' });
    return final ? undefined : again;
  }
}
