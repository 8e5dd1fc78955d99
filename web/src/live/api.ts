// The way to the program that served the page: JSON over the same origin, with the session's CSRF token where something
// changes. The session itself is in a cookie that no script can read.
export interface SessionInfo {
  user: string;
  csrf: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: no answer
    message: string,
    readonly wait_seconds = 0,
  ) {
    super(message);
  }
}

let csrf = "";
let onSignedOut: () => void = () => {};

export function whenSignedOut(then: () => void) {
  onSignedOut = then;
}

export interface CallOptions {
  body?: unknown; // makes it a POST
  method?: "GET" | "POST" | "DELETE";
  background?: boolean; // asked by the page and not by a person: does not keep the session alive
}

async function ask(path: string, options: CallOptions = {}): Promise<Response> {
  const method = options.method ?? (options.body === undefined ? "GET" : "POST");
  const headers: Record<string, string> = {};
  if (method !== "GET") headers["X-Manako-Csrf"] = csrf;
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (options.background) headers["X-Manako-Background"] = "1";
  try {
    return await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  } catch {
    throw new ApiError(0, "");
  }
}

// What an answer that is none says.
async function refusal(path: string, response: Response): Promise<ApiError> {
  const answer: unknown = await response.json().catch(() => null);
  const told = (answer as { error?: unknown } | null)?.error;
  if (response.status === 401 && path !== "/api/session") onSignedOut();
  return new ApiError(response.status, typeof told === "string" ? told : "", Number(response.headers.get("Retry-After")) || 0);
}

export async function call<Answer>(path: string, options: CallOptions = {}): Promise<Answer> {
  const response = await ask(path, options);
  if (!response.ok) throw await refusal(path, response);
  return (await response.json().catch(() => null)) as Answer;
}

// Saves a file as a link would, under the name that the program gives it, except that a refusal can be shown on the page
// instead of ending as a failed download that says nothing.
export async function save(path: string): Promise<void> {
  const response = await ask(path);
  if (!response.ok) throw await refusal(path, response);
  let content: Blob;
  try {
    content = await response.blob();
  } catch {
    throw new ApiError(0, "");
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function keep(session: SessionInfo): SessionInfo {
  csrf = session.csrf;
  return session;
}

// The session that the cookie stands for; null when there is none.
export async function currentSession(): Promise<SessionInfo | null> {
  try {
    return keep(await call<SessionInfo>("/api/session"));
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) return null;
    throw e;
  }
}

export async function signIn(user: string, password: string): Promise<SessionInfo> {
  return keep(await call<SessionInfo>("/api/session", { body: { user, password } }));
}

export async function signOut(): Promise<void> {
  await call("/api/session", { method: "DELETE" }).catch(() => {});
  csrf = "";
}
