/** A mail (RFC 5322) as far as ours go: one text part. */
type Mail = { from: string; to: string; subject: string; date: string; text: string };

export function readMail(source: string): Mail {
  const end = source.search(/\r?\n\r?\n/);
  const headers = new Map(
    source
      .slice(0, end)
      .replaceAll(/\r?\n[ \t]+/g, ' ')
      .split(/\r?\n/)
      .map((line): [string, string] => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const of = (name: string) => printable(headers.get(name) ?? '');
  const body = source.slice(end).trimStart();
  const text = decode(body, headers.get('content-transfer-encoding') ?? '');
  return { from: of('from'), to: of('to'), subject: of('subject'), date: of('date'), text: text.replaceAll('\r\n', '\n') };
}

function decode(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString();
  if (encoding !== 'quoted-printable') return body;
  const bytes = body.replaceAll(/=\r?\n/g, '').replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

/** Encoded words (RFC 2047) as text, without what a terminal would obey. */
const printable = (header: string): string =>
  header
    .replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, how: string, word: string) =>
      decode(how.toLowerCase() === 'b' ? word : word.replaceAll('_', ' '), how.toLowerCase() === 'b' ? 'base64' : 'quoted-printable'),
    )
    .replaceAll(/\p{Cc}/gu, '');
