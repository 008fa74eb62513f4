// Shows the views of a page behind a link.
import { ask, firstView, problemText } from './views.js';

/** Begins with what the address says, and takes the token out of it. */
export function start({ document, location, history, fetch }) {
  const page = location.pathname.split('/').at(-1) ?? '';
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  history.replaceState(null, '', location.pathname);
  show({ document, fetch, isFirst: true }, firstView(page, token));
}

function show(on, view) {
  const { document } = on;
  const title = document.getElementById('title');
  title.textContent = view.title;
  document.title = `${view.title} · TIU`;
  document.getElementById('error').textContent = '';
  const { parts, values } = partsOf(document, view);
  const buttons = (view.actions ?? []).map((action, at) => buttonOf(document, action, at === 0 && (view.fields ?? []).length > 0));
  const form = element(document, 'form', { novalidate: '', children: [...parts, ...buttons] });
  document.getElementById('view').replaceChildren(form);
  form.addEventListener('submit', (event) => event.preventDefault());
  (view.actions ?? []).forEach((action, at) => {
    buttons[at].addEventListener('click', (event) => {
      event.preventDefault();
      void act(on, { action, buttons, values: values() });
    });
  });
  // whoever hears the page is told where they are; at its opening the browser does that
  if (!on.isFirst) title.focus();
}

async function act(on, { action, buttons, values }) {
  const error = on.document.getElementById('error');
  error.textContent = '';
  for (const button of buttons) button.disabled = true;
  const { body, problem } = await ask(on.fetch, action.request(values));
  for (const button of buttons) button.disabled = false;
  const next = problem === undefined ? action.then(body) : action.otherwise?.(problem, values);
  if (next === undefined) error.textContent = problemText(problem);
  else show({ ...on, isFirst: false }, next);
}

function partsOf(document, { text, facts = [], fields = [] }) {
  const inputs = fields.map((field) => [field, inputOf(document, field)]);
  const parts = [
    ...(text === undefined ? [] : [element(document, 'p', { text })]),
    ...(facts.length === 0 ? [] : [factsOf(document, facts)]),
    ...inputs.flatMap(([field, input]) => [
      element(document, 'label', { for: field.name, text: field.label }),
      input,
      ...(field.hint === undefined ? [] : [element(document, 'p', { id: `${field.name}-hint`, class: 'hint', text: field.hint })]),
    ]),
  ];
  return { parts, values: () => Object.fromEntries(inputs.map(([{ name }, input]) => [name, input.value])) };
}

const factsOf = (document, facts) =>
  element(document, 'dl', {
    children: facts.flatMap(([term, value]) => [element(document, 'dt', { text: term }), element(document, 'dd', { text: value })]),
  });

function inputOf(document, { name, type = 'text', autocomplete, spellcheck, autocapitalize, hint, value, required = true }) {
  const input = element(document, 'input', {
    ...{ id: name, name, type, autocomplete, maxlength: '1000' },
    ...(required && { required: '' }),
    ...(spellcheck !== undefined && { spellcheck, autocapitalize }),
    ...(hint !== undefined && { 'aria-describedby': `${name}-hint` }),
  });
  if (value !== undefined) input.value = value;
  return input;
}

/** Enter in a field does what the first button does. */
const buttonOf = (document, { label }, isDefault) => element(document, 'button', { type: isDefault ? 'submit' : 'button', text: label });

/** @param shape attributes, and `text` or `children` */
function element(document, name, { text, children = [], ...attributes }) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

if (typeof document !== 'undefined') start({ document, location, history, fetch: (path, options) => fetch(path, options) });
