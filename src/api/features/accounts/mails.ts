/** What people are written to. Nothing that a stranger chooses stands in them but a name of letters and digits. */

type Text = { subject: string; text: string };

const minutes = (ms: number): string => `${Math.max(1, Math.round(ms / 60_000))} minutes`;
const NOT_YOU = 'If this was not you, nothing has to be done.';

export const verifyMail = (to: { name: string; link: string; ttlMs: number }): Text => ({
  subject: 'Confirm your mail address',
  text: `Somebody registered as ${to.name} with this mail address. To confirm it, open within ${minutes(to.ttlMs)}:

${to.link}

You are asked for the password that was chosen. ${NOT_YOU}
`,
});

export const knownMail = (to: { name: string; link: string | null; ttlMs: number }): Text => ({
  subject: 'You have an account already',
  text: `Somebody wanted to register with this mail address, which belongs to your account ${to.name}. Sign in as before.
${to.link === null ? '' : `\nIf you have forgotten your password, set another within ${minutes(to.ttlMs)}:\n\n${to.link}\n`}
${NOT_YOU}
`,
});

export const resetMail = (to: { name: string; link: string; ttlMs: number }): Text => ({
  subject: 'Reset your password',
  text: `For the account ${to.name} another password can be set, once and within ${minutes(to.ttlMs)}:

${to.link}

${NOT_YOU}
`,
});

export const passwordChangedMail = (to: { name: string }): Text => ({
  subject: 'Your password was changed',
  text: `The password of the account ${to.name} was changed a moment ago. If this was not you, reset it at once and look through your sessions.
`,
});

export const confirmEmailMail = (to: { name: string; link: string; ttlMs: number }): Text => ({
  subject: 'Confirm your new mail address',
  text: `The account ${to.name} is to have this mail address. To confirm it, open within ${minutes(to.ttlMs)}:

${to.link}

${NOT_YOU}
`,
});

export const takenEmailMail = (to: { name: string }): Text => ({
  subject: 'Your mail address was named',
  text: `Somebody wanted to give this mail address to another account; it stays with yours, ${to.name}. ${NOT_YOU}
`,
});

export const emailNoticeMail = (to: { name: string; done: boolean }): Text => ({
  subject: to.done ? 'Your mail address was changed' : 'Your mail address is about to change',
  text: `The account ${to.name} ${to.done ? 'has another mail address now' : 'is to have another mail address'}. If this was not you, change your password at once.
`,
});

export const factorMail = (to: { name: string; what: string }): Text => ({
  subject: 'How you sign in has changed',
  text: `Of the account ${to.name}: ${to.what}. If this was not you, change your password at once and look through your second factors.
`,
});
