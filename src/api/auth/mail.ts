import { randomUUIDv7 } from 'node:crypto';
import { addMail } from '../../db/mails.ts';
import type { Rows } from '../../db/transaction.ts';
import { Problem } from '../../domain/problem.ts';
import type { Mailer } from '../../providers/mail/mailer.ts';
import { createMailSender, mailPlace, type MailSenderDeps, type MailText } from './mailSender.ts';

export type AccountMail = {
  /** @throws Problem not_configured: asked before anybody is looked up, so that the answer is the same for all */
  check: () => void;
  /**
   * Puts a mail into the queue, within the transaction whose change it tells of. Where nobody is to be told, `to` is null: so as much
   * is done. It is handed over within the next second. Without a mail server nothing happens. @throws Problem overloaded
   */
  post: (tx: Rows, mail: MailText & { account?: string | null; ttlMs?: number }) => Promise<void>;
  /** Kept when nothing is due. */
  settled: () => Promise<void>;
  close: () => Promise<void>;
};

export type AccountMailDeps = Omit<MailSenderDeps, 'mailer'> & { mailer: Mailer | undefined };
/** How many may wait, and for how long one is tried that says nothing of its own, ms. */
type Bounds = { maxQueued: number; ttlMs: number };

/** Mails of accounts: links, codes, notices. @param deps.mailer undefined = none is set up */
export function createAccountMail(deps: AccountMailDeps, bounds: Bounds): AccountMail {
  const { cipher, clock } = deps;
  const missing =
    deps.mailer === undefined ? 'TIU_SMTP_URL and TIU_MAIL_FROM' : cipher.keyId === null ? 'TIU_SECRET_KEYS: mails wait encrypted' : null;
  const sender = missing === null && deps.mailer ? createMailSender({ ...deps, mailer: deps.mailer }) : undefined;
  return {
    check: () => {
      if (missing !== null) throw new Problem('not_configured', { detail: `The operator has set up no mail: ${missing}` });
    },
    post: async (tx, { account = null, ttlMs = bounds.ttlMs, ...mail }) => {
      if (!sender) return;
      const id = randomUUIDv7();
      const sealed = cipher.seal(mailPlace(id), JSON.stringify({ to: mail.to, subject: mail.subject, text: mail.text } satisfies MailText));
      const added = await addMail(tx, {
        id,
        account,
        ...sealed,
        now: clock(),
        ttlMs: Math.min(ttlMs, bounds.ttlMs),
        max: bounds.maxQueued,
      });
      if (!added) throw new Problem('overloaded', { detail: 'Too many mails wait to be sent', retryAfterMs: 1_000 });
    },
    settled: async () => sender?.idle(),
    close: async () => sender?.close(),
  };
}
