import type { HttpRequest, HttpResponse } from "../transport/transport.ts";

/** One method of one path: how it is answered, and what /openapi.json says of it. */
export type Operation = {
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  /** What the body of a request is. */
  readonly takes?: string;
  /** What each status means. */
  readonly statuses: Readonly<Record<number, string>>;
  /** Media types of what is answered with 2xx. */
  readonly answers: readonly string[];
  /** Whether NIP-98 authorization is asked for. */
  readonly isAuthorized?: boolean;
  /** Costs a token of those an address may ask with. */
  readonly isCounted: boolean;
  answer(request: HttpRequest, values: PathValues): HttpResponse | Promise<HttpResponse>;
};

export type Parameter = {
  readonly name: string;
  readonly in: "path" | "query";
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
};

/** What stands in a path where its template has `{name}`. */
export type PathValues = Readonly<Record<string, string>>;

export type Method = "GET" | "HEAD" | "POST";

/** Paths, some with `{name}` in place of one segment, and what each answers. */
export type Routes = Readonly<Record<string, Readonly<Partial<Record<Method, Operation>>>>>;
