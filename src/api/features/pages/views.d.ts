type Problem = { status: number; title?: string; detail?: string; issues?: readonly { pointer: string; message: string }[] };
type Values = Readonly<Record<string, string>>;
export type ApiRequest = { method: 'GET' | 'POST'; path: string; body?: object };
type Action = {
  label: string;
  request: (values: Values) => ApiRequest;
  then: (body: object) => View;
  otherwise?: (problem: Problem, values: Values) => View | undefined;
};
export type View = {
  title: string;
  text?: string;
  facts?: readonly (readonly [string, string])[];
  fields?: readonly { name: string; label: string; value?: string; type?: string; autocomplete?: string }[];
  actions?: readonly Action[];
};
export declare function firstView(page: string, token: string | null): View;
