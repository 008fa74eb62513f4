import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export type MailServer = {
  /** For TIU_SMTP_URL. */
  url: string;
  /** Mails it has taken: envelope and text as it came. */
  mails: { from: string; to: string[]; text: string }[];
  /** What the next commands that begin so are answered with, instead of taking them; null = nothing, ever. */
  answer: (command: string, reply: string | null) => void;
  /** Kept when a command that begins so arrives. */
  heard: (command: string) => Promise<void>;
  /** Kept when the last connection is closed. */
  quiet: () => Promise<void>;
  close: () => void;
};

type State = Pick<MailServer, 'mails'> & {
  answers: { command: string; reply: string | null }[];
  listeners: { command: string; tell: () => void }[];
};

const TAKEN: Record<string, string> = {
  EHLO: '250-mail.test\r\n250-SIZE 1000000\r\n250 AUTH PLAIN',
  AUTH: '235 welcome',
  MAIL: '250 ok',
  RCPT: '250 ok',
  DATA: '354 go on',
  QUIT: '221 bye',
  '.': '250 queued',
};

/** A mail server that speaks SMTP (RFC 5321) as far as mails need it. */
export async function aMailServer(): Promise<MailServer> {
  const state: State = { mails: [], answers: [], listeners: [] };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => undefined));
    converse(socket, state);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails: state.mails,
    answer: (command, reply) => void state.answers.push({ command, reply }),
    heard: (command) => new Promise((tell) => state.listeners.push({ command, tell })),
    quiet: async () => {
      await Promise.all([...sockets].map((socket) => once(socket, 'close')));
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function converse(socket: Socket, state: State): void {
  let mail = { from: '', to: [] as string[], text: '' };
  let text: string[] | undefined;
  const take = (line: string) => {
    if (text && line !== '.') return void text.push(line);
    if (text) mail.text = text.join('\r\n');
    text = undefined;
    for (const { command, tell } of state.listeners) if (line.startsWith(command)) tell();
    const verb = line.slice(0, 4).toUpperCase();
    const scripted = state.answers.findIndex(({ command }) => line.startsWith(command));
    const reply = scripted < 0 ? (TAKEN[verb] ?? '502 what?') : (state.answers.splice(scripted, 1)[0]?.reply ?? null);
    const taken = scripted < 0;
    const address = /<(.*?)>/.exec(line)?.[1] ?? '';
    if (taken && verb === 'MAIL') mail = { from: address, to: [], text: '' };
    if (taken && verb === 'RCPT') mail.to.push(address);
    if (taken && verb === 'DATA') text = [];
    if (taken && verb === '.') state.mails.push(mail);
    if (reply !== null) socket.write(`${reply}\r\n`);
    if (verb === 'QUIT') socket.end();
  };
  let rest = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    const lines = (rest + String(chunk)).split('\r\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  });
  socket.write('220 mail.test\r\n');
}
