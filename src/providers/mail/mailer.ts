import type { NodemailerError, SMTPSentMessageInfo, SMTPTransportOptions, Transporter } from 'nodemailer';
import { Problem } from '../../domain/problem.ts';

export type MailSettings = {
  /** `smtp://user:password@host:port` or `smtps://…`; nodemailer's connection options may follow as query. */
  url?: string | undefined;
  /** Sender: `a@b` or `Name <a@b>`. */
  from?: string | undefined;
};

export type Mail = {
  /** Of the effect: becomes the Message-ID, so that a repeated mail can be told. */
  key: string;
  to: readonly string[];
  subject: string;
  text: string;
  html?: string;
  signal: AbortSignal;
};

/** `id`: the Message-ID. Of several recipients some may have been refused. */
type SentMail = { id: string; accepted: string[]; rejected: string[] };

export type Mailer = {
  /** @throws Problem not_configured | mail_failed | mail_refused | invalid_task_input | the reason of the signal */
  send: (mail: Mail) => Promise<SentMail>;
};

const ADDRESS = /^[^\s@<>()[\]\\,;:"]{1,64}@[^\s@<>()[\]\\,;:"]{1,255}$/;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of a server that says nothing; the attempt has a time of its own. */
const SILENCE_TIMEOUT_MS = 60_000;

/** Of a sender: name and address. */
export type Sender = { name: string; address: string };

type Transport = Transporter<SMTPSentMessageInfo, SMTPTransportOptions>;

/** Hands mails to an SMTP server, each on a connection of its own. @throws Error of a setting that is wrong, without its password */
export function createMailer(settings: MailSettings): Mailer {
  const { url, from } = settings;
  if (url !== undefined && !/^smtps?:$/.test(URL.canParse(url) ? new URL(url).protocol : ''))
    throw new Error('TIU_SMTP_URL: expected smtp: or smtps:');
  const sender = from === undefined ? undefined : senderOf(from);
  if (url === undefined || sender === undefined) {
    const missing = url === undefined ? 'TIU_SMTP_URL' : 'TIU_MAIL_FROM';
    return { send: () => Promise.reject(notConfigured(missing)) };
  }
  let opened: Promise<Transport> | undefined;
  return {
    send: async (mail) => {
      const { signal } = mail;
      signal.throwIfAborted();
      const message = messageOf(mail, sender);
      try {
        const transport = await (opened ??= openTransport(url));
        const sent = await transport.sendMail({ ...message, signal });
        return { id: sent.messageId, accepted: sent.accepted.map(String), rejected: sent.rejected.map(String) };
      } catch (error) {
        throw toProblem(error as NodemailerError, signal);
      }
    },
  };
}

/** A mail as nodemailer takes it: addresses as objects, so that nothing in them becomes a header. @throws Problem invalid_task_input */
export function messageOf({ key, to, subject, text, html }: Omit<Mail, 'signal'>, sender: Sender) {
  const wrong = to.find((address) => !ADDRESS.test(address));
  if (wrong !== undefined)
    throw new Problem('invalid_task_input', { detail: `with.to: ${wrong} is no mail address (one address, without a name)` });
  return {
    ...{ from: sender, to: to.map((address) => ({ name: '', address })), subject, text },
    ...(html === undefined ? {} : { html }),
    messageId: `<${key}@${sender.address.slice(sender.address.lastIndexOf('@') + 1)}>`,
    headers: { 'Auto-Submitted': 'auto-generated' }, // RFC 3834: no automatic answers, please
  };
}

/** The library is loaded with the first mail: it takes 100 ms and 30 MB, and most workers never send one. */
async function openTransport(url: string): Promise<Transport> {
  const { createTransport } = await import('nodemailer');
  return createTransport({
    url,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    // What a definition says must not become a file or an address that is read.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

const notConfigured = (setting: string): Problem =>
  new Problem('not_configured', {
    detail: `Mail is not set up: the operator has to set ${setting} on the worker`,
    data: { setting, hint: 'TIU_SMTP_URL and TIU_MAIL_FROM switch mail on' },
  });

/** @throws Error of what is no sender */
export function senderOf(from: string): Sender {
  const [, name = '', bracketed] = /^\s*"?([^"<]*?)"?\s*<([^<>]+)>\s*$/.exec(from) ?? [];
  const address = bracketed ?? from.trim();
  if (!ADDRESS.test(address)) throw new Error('TIU_MAIL_FROM: expected an address or Name <address>');
  return { name, address };
}

/** The server's reply tells whether another try may help; without one it was not reached. */
function toProblem(error: NodemailerError, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const { code = 'unknown', responseCode, response, permanent } = error;
  const data = { code, ...(responseCode === undefined ? {} : { status: responseCode, response: (response ?? '').slice(0, 500) }) };
  if (permanent === true) return new Problem('mail_refused', { detail: `The mail server refuses: ${responseCode}`, data, cause: error });
  return new Problem('mail_failed', { detail: `The mail was not handed over: ${responseCode ?? code}`, data, cause: error });
}
