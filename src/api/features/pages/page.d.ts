/** What of a browser the script needs. */
export declare function start(browser: {
  document: object;
  location: { pathname: string; hash: string };
  history: { replaceState: (state: null, title: string, url: string) => void };
  fetch: (path: string, options: RequestInit) => Promise<Response>;
}): void;
