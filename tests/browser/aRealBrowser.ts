import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** What these tests use of a page of puppeteer. */
export type Page = {
  goto: (url: string, options: { waitUntil: 'networkidle0' }) => Promise<unknown>;
  url: () => string;
  on: ((event: 'pageerror', heard: (error: unknown) => void) => void) &
    ((event: 'console', heard: (message: { type: () => string; text: () => string }) => void) => void);
  locator: (selector: string) => { fill: (text: string) => Promise<void>; click: () => Promise<void> };
  /** Runs in the page. */
  evaluate: (script: string) => Promise<unknown>;
  waitForFunction: (script: string, options: { timeout: number }) => Promise<unknown>;
  createCDPSession: () => Promise<{ send: (method: string, params?: object) => Promise<unknown> }>;
};
type Context = { newPage: () => Promise<Page>; cookies: () => Promise<{ name: string; httpOnly: boolean; secure: boolean }[]> };
export type RealBrowser = { createBrowserContext: () => Promise<Context>; version: () => Promise<string>; close: () => Promise<void> };

type Launcher = { launch: (options: { executablePath: string; args: string[]; headless: 'shell' }) => Promise<RealBrowser> };
type Package = { executablePath: () => Promise<string> };

/** Chromium without a window, from the package that `npm run browser` has put there: nothing is fetched when it runs. */
export async function aRealBrowser(): Promise<RealBrowser> {
  const place = createRequire(path.join(process.env.TIU_BROWSER ?? '', 'package.json'));
  const load = async (name: string) => ((await import(pathToFileURL(place.resolve(name)).href)) as { default: unknown }).default;
  const [chromium, puppeteer] = (await Promise.all(['@sparticuz/chromium', 'puppeteer-core'].map(load))) as [Package, Launcher];
  // none of the flags of the package: some of them switch off what is to be seen here
  return puppeteer.launch({ executablePath: await chromium.executablePath(), args: ['--no-sandbox', '--no-zygote'], headless: 'shell' });
}
