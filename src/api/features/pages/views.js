// What the pages behind links show and ask. Plain data and functions: nothing here knows of a document.
// A view is { title, text?, facts?, fields?, actions? }. An action is { label, request(values), then(body), otherwise?(problem) }:
// its request goes to the api, and its answer leads to another view; `otherwise` may lead from a problem to one.

const newPassword = {
  name: 'password',
  label: 'New password',
  type: 'password',
  autocomplete: 'new-password',
  hint: 'At least 15 characters; 8 beside a second factor.',
};
const chosenName = {
  name: 'name',
  label: 'Name',
  autocomplete: 'username',
  hint: '3 to 50 letters, digits and underscores.',
};
const code = { autocomplete: 'one-time-code', spellcheck: 'false', autocapitalize: 'characters' };

const post = (path, body) => ({ method: 'POST', path: `api/v1/${path}`, ...(body !== undefined && { body }) });

const done = (title, text) => ({ title, text });

const incomplete = done('The link is incomplete', 'Open it again as it stands in the mail, with everything behind the sign #.');

const resetPassword = (token) => ({
  title: 'Set a new password',
  fields: [newPassword],
  actions: [
    {
      label: 'Set the password',
      request: ({ password }) => post('auth/reset-password', { token, password }),
      then: () => done('The password is set', 'All sessions have ended. Sign in with the new one.'),
    },
  ],
});

const verifyEmail = (token) => ({
  title: 'Confirm your mail address',
  text: 'Show the password again that you have registered with: your account is made then.',
  fields: [
    { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' },
    { ...chosenName, label: 'Another name, if the one you asked for is taken', required: false },
  ],
  actions: [
    {
      label: 'Make the account',
      request: ({ password, name }) => post('auth/verify-email', { token, password, ...(name && { name }) }),
      then: ({ name }) => done('The account is made', `It is called ${name}. Sign in now.`),
    },
  ],
});

const confirmEmail = (token) => ({
  title: 'Confirm your new mail address',
  actions: [
    {
      label: 'Confirm',
      request: () => post('auth/change-email/confirm', { token }),
      then: () => done('The address is confirmed', 'Your account has it now.'),
    },
  ],
});

const invitation = (token) => ({
  title: 'You are invited',
  text: 'Make an account, or join with the one that you are signed in to here.',
  fields: [chosenName, { ...newPassword, label: 'Password' }],
  actions: [
    {
      label: 'Make an account',
      request: ({ name, password }) => post('invitations/accept', { token, name, password }),
      then: () => done('The account is made', 'You are a member now. Sign in with the name and the password.'),
    },
    {
      label: 'Join with my account',
      request: () => post('invitations/join', { token }),
      then: () => done('You have joined', 'You are a member now.'),
      otherwise: (problem) => (problem.status === 401 ? signIn(invitation(token)) : undefined),
    },
  ],
});

const device = (userCode) => ({
  title: 'Sign in a device',
  text: 'Type the code that the device shows.',
  fields: [{ ...code, name: 'userCode', label: 'Code', value: userCode }],
  actions: [
    {
      label: 'Continue',
      request: ({ userCode: typed }) => ({ method: 'GET', path: `api/v1/auth/device/${encodeURIComponent(typed.trim())}` }),
      then: (asking) => confirmDevice(asking),
      otherwise: (problem, { userCode: typed }) => (problem.status === 401 ? signIn(device(typed)) : undefined),
    },
  ],
});

const confirmDevice = (asking) => ({
  title: 'Is this your device?',
  text: 'It will be able to do what you can. Refuse it if you did not begin this yourself a moment ago.',
  facts: [
    ['Code', asking.userCode],
    ['Name', asking.deviceName ?? 'none'],
    ['Address', asking.ip],
    ['Program', asking.userAgent === '' ? 'unknown' : asking.userAgent],
    ['Asked at', asking.createdAt],
  ],
  actions: [
    {
      label: 'Sign it in',
      request: () => post(`auth/device/${asking.userCode}/approve`),
      then: () => done('The device is signed in', 'You can close this page.'),
    },
    {
      label: 'Refuse',
      request: () => post(`auth/device/${asking.userCode}/deny`),
      then: () => done('The device is refused', 'You can close this page.'),
    },
  ],
});

/** @param next the view that somebody comes to who has signed in */
const signIn = (next) => ({
  title: 'Sign in first',
  fields: [
    { name: 'identifier', label: 'Name or mail address', autocomplete: 'username' },
    { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' },
  ],
  actions: [
    {
      label: 'Sign in',
      request: ({ identifier, password }) => post('auth/login', { identifier, password, transport: 'cookie' }),
      then: (body) => (body.status === 'mfa_required' ? secondFactor(body.mfaToken, next) : next),
    },
  ],
});

const secondFactor = (mfaToken, next) => ({
  title: 'Second factor',
  fields: [{ ...code, name: 'code', label: 'Code of your authenticator app, or a recovery code' }],
  actions: [
    {
      label: 'Continue',
      request: ({ code: typed }) => {
        const shown = typed.trim();
        return post('auth/login/mfa', { mfaToken, ...(/^\d{6}$/.test(shown) ? { code: shown } : { recoveryCode: shown }) });
      },
      then: () => next,
    },
  ],
});

const PAGES = {
  'reset-password': resetPassword,
  'verify-email': verifyEmail,
  'confirm-email': confirmEmail,
  invitation,
};

/** The first view of a page. @param token what stood behind # */
export function firstView(page, token) {
  if (page === 'device') return device(token ?? '');
  const view = Object.hasOwn(PAGES, page) ? PAGES[page] : undefined;
  return view === undefined || token === null || token === '' ? incomplete : view(token);
}

/** What people are told of a problem: all faults of what they typed, else what went wrong. */
export function problemText(problem) {
  const faults = (problem.issues ?? []).map(({ pointer, message }) => `${pointer.slice(1)}: ${message}`);
  return faults.length > 0 ? faults.join('\n') : (problem.detail ?? problem.title ?? 'The service does not answer. Try again.');
}

/** Asks the api. @returns { body } or { problem } */
export async function ask(fetch, { method, path, body }) {
  try {
    const answer = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: { accept: 'application/json', ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const parsed = text === '' ? {} : JSON.parse(text);
    return answer.ok ? { body: parsed } : { problem: { ...parsed, status: answer.status } };
  } catch {
    return { problem: { status: 0 } };
  }
}
