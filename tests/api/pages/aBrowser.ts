import { start } from '../../../src/api/features/pages/page.js';

type Listener = (event: { preventDefault: () => void }) => void;

/** As much of an element as the script of the pages uses. */
class Element {
  readonly attributes = new Map<string, string>();
  children: Element[] = [];
  own = '';
  value = '';
  disabled = false;
  focused = 0;
  private readonly listeners = new Map<string, Listener>();

  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  append(...children: Element[]): void {
    this.children.push(...children);
  }
  replaceChildren(...children: Element[]): void {
    this.children = children;
  }
  addEventListener(name: string, listener: Listener): void {
    this.listeners.set(name, listener);
  }
  focus(): void {
    this.focused += 1;
  }
  click(): void {
    this.listeners.get('click')?.({ preventDefault: () => undefined });
  }
  get textContent(): string {
    return [this.own, ...this.children.map((child) => child.textContent)].join(' ').trim();
  }
  set textContent(text: string) {
    this.own = text;
  }
  all(): Element[] {
    return [this, ...this.children.flatMap((child) => child.all())];
  }
}

/** A page that somebody has opened: what they see, and what they can do. */
type Page = {
  title: () => string;
  text: () => string;
  error: () => string;
  /** Names of fields, which all have a label. */
  fields: () => string[];
  type: (field: string, value: string) => void;
  value: (field: string) => string;
  /** Presses a button and waits until its answer is shown. */
  press: (label: string) => Promise<void>;
  address: () => string;
  focused: () => number;
};

export type Browser = { open: (path: string) => Page; cookies: Map<string, string> };

/** A browser without looks: its pages talk to the api at this address, with cookies, as same-origin pages do. */
export function aBrowser(url: string): Browser {
  const cookies = new Map<string, string>();
  let last: Promise<unknown> = Promise.resolve();
  const fetchHere = async (path: string, options: RequestInit): Promise<Response> => {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const headers = { ...(options.headers as Record<string, string>), 'sec-fetch-site': 'same-origin', ...(cookie !== '' && { cookie }) };
    const answer = await fetch(new URL(path, `${url}/`), { ...options, headers });
    for (const set of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      cookies.set(name, value);
    }
    return answer;
  };
  const open = (target: string): Page => {
    const ids = new Map(['title', 'view', 'error'].map((id) => [id, new Element(id)]));
    const byId = (id: string) => ids.get(id) ?? new Element('none');
    const { pathname, hash } = new URL(target, url);
    let address = target;
    start({
      document: { title: '', getElementById: byId, createElement: (name: string) => new Element(name) },
      location: { pathname, hash },
      history: { replaceState: (_, __, now) => (address = now) },
      fetch: (path, options) => {
        const answer = fetchHere(path, options);
        last = answer;
        return answer;
      },
    });
    return { ...pageOf(byId, () => last), address: () => address };
  };
  return { open, cookies };
}

/** What somebody sees and does on a page. @param answered kept when the last request has been answered */
function pageOf(byId: (id: string) => Element, answered: () => Promise<unknown>): Omit<Page, 'address'> {
  const elements = () => byId('view').all();
  const field = (name: string) => {
    const found = elements().find((one) => one.name === 'input' && one.attributes.get('name') === name);
    if (!found) throw new Error(`no field ${name}`);
    return found;
  };
  return {
    title: () => byId('title').textContent,
    text: () => byId('view').textContent,
    error: () => byId('error').textContent,
    fields: () => {
      const labelled = elements().flatMap(({ name, attributes }) => (name === 'label' ? [attributes.get('for')] : []));
      const names = elements().flatMap(({ name, attributes }) => (name === 'input' ? [attributes.get('id') ?? ''] : []));
      if (names.join() !== labelled.join()) throw new Error('a field without a label');
      return names;
    },
    type: (name, value) => (field(name).value = value),
    value: (name) => field(name).value,
    press: async (label) => {
      const button = elements().find((one) => one.name === 'button' && one.own === label);
      if (!button) throw new Error(`no button ${label} in ${byId('view').textContent}`);
      button.click();
      await answered();
      // the script reads the answer in turns of its own, and enables the button when it has
      while (button.disabled) await new Promise(setImmediate);
      await new Promise(setImmediate);
    },
    focused: () => byId('title').focused,
  };
}
