import fs from 'node:fs/promises';
import path from 'node:path';
import { messageOf, senderOf, type Mailer } from './mailer.ts';

/** Writes mails into a folder instead of sending them: one `.eml` a mail, readable by its owner alone. Names sort by time. */
export function createOutbox(settings: { folder: string; from: string; clock: () => number }): Mailer {
  const sender = senderOf(settings.from);
  return {
    send: async (mail) => {
      const message = messageOf(mail, sender);
      const { createTransport } = await import('nodemailer');
      const composed = await createTransport({
        streamTransport: true,
        buffer: true,
        disableFileAccess: true,
        disableUrlAccess: true,
      }).sendMail(message);
      await fs.mkdir(settings.folder, { recursive: true, mode: 0o700 });
      const name = `${new Date(settings.clock()).toISOString().replaceAll(':', '-')}_${mail.key}.eml`;
      const file = path.join(settings.folder, name);
      // written aside first: whoever lists the folder sees whole mails
      await fs.writeFile(`${file}.new`, composed.message as Buffer, { mode: 0o600 });
      await fs.rename(`${file}.new`, file);
      return { id: composed.messageId, accepted: [...mail.to], rejected: [] };
    },
  };
}
