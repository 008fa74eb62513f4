import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../../domain/problem.ts';
import type { Mailer } from '../../providers/mail/mailer.ts';
import type { Log } from '../log.ts';

export type AccountMail = {
  /** @throws Problem not_configured | overloaded: asked before anybody is looked up, so that the answer is the same for all */
  check: () => void;
  /** Hands a mail over after the answer, a few times when the server is away; what fails in the end is logged. */
  send: (mail: { to: string; subject: string; text: string }) => void;
  /** Kept when all that was sent has been handed over or has failed. */
  settled: () => Promise<void>;
  /** Ends the pauses between tries, and waits for what is under way. */
  close: () => Promise<void>;
};

/** Before the second and the third try of one mail, ms. */
const PAUSES_MS = [1_000, 5_000];
/** Of one try. */
const TIMEOUT_MS = 30_000;

/** Mails of accounts: links, codes, notices. @param deps.mailer undefined = none is set up */
export function createAccountMail(deps: { mailer: Mailer | undefined; log: Log; maxQueued: number }): AccountMail {
  const { mailer, log, maxQueued } = deps;
  const ending = new AbortController();
  let queued = 0;
  let last = Promise.resolve();
  const hand = async (mail: { to: string; subject: string; text: string }, key = randomUUID()): Promise<void> => {
    for (const pause of [...PAUSES_MS, undefined]) {
      try {
        await mailer?.send({ ...mail, key, to: [mail.to], signal: AbortSignal.timeout(TIMEOUT_MS) });
        return;
      } catch (error) {
        const again = pause !== undefined && !ending.signal.aborted && !(error instanceof Problem && !error.retryable);
        if (!again) {
          log.error({ key, err: error }, 'mail.failed');
          return;
        }
        await sleep(pause, undefined, { signal: ending.signal, ref: false }).catch(() => undefined);
      }
    }
  };
  return {
    check: () => {
      if (!mailer) throw new Problem('not_configured', { detail: 'The operator has set up no mail: TIU_SMTP_URL and TIU_MAIL_FROM' });
      if (queued >= maxQueued) throw new Problem('overloaded', { detail: 'Too many mails wait to be sent', retryAfterMs: 1_000 });
    },
    send: (mail) => {
      queued += 1;
      last = last
        .then(() => hand(mail))
        .finally(() => {
          queued -= 1;
        });
    },
    settled: () => last,
    close: async () => {
      ending.abort();
      await last;
    },
  };
}
