// A program behind fetch and EventSource, for tests of the pages without one.
import { render } from "preact";
import type { ComponentChild } from "preact";
import { act } from "preact/test-utils";
import { vi } from "vitest";

export interface Asked {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
}

type Answer = { status?: number; json: unknown; headers?: Record<string, string> };

export class FakeProgram {
  asked: Asked[] = [];
  answers = new Map<string, Answer | ((asked: Asked) => Answer)>();
  streams: FakeStream[] = [];

  constructor() {
    vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
      const asked: Asked = {
        method: init.method ?? "GET",
        path,
        headers: (init.headers ?? {}) as Record<string, string>,
        body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
      };
      this.asked.push(asked);
      const found = this.answers.get(`${asked.method} ${path.split("?")[0]}`);
      const answer = typeof found === "function" ? found(asked) : (found ?? { status: 404, json: { error: "nothing here" } });
      return new Response(JSON.stringify(answer.json), { status: answer.status ?? 200, headers: answer.headers ?? {} });
    });
    const program = this;
    vi.stubGlobal(
      "EventSource",
      class extends FakeStream {
        constructor(path: string) {
          super(path);
          program.streams.push(this);
        }
      },
    );
  }

  get(path: string, json: unknown) {
    this.answers.set(`GET ${path}`, { json });
  }
  // Sends on the page's stream.
  async send(name: string, data: unknown) {
    await act(() => this.streams.forEach((s) => s.send(name, data)));
    await settle();
  }
  posted(path: string): Asked | undefined {
    return this.asked.filter((a) => a.method === "POST" && a.path === path).pop();
  }
}

class FakeStream {
  static readonly CLOSED = 2;
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  private listeners = new Map<string, (message: { data: string }) => void>();
  constructor(readonly path: string) {}
  addEventListener(name: string, listener: (message: { data: string }) => void) {
    this.listeners.set(name, listener);
  }
  close() {
    this.readyState = 2;
  }
  send(name: string, data: unknown) {
    this.onopen?.();
    this.listeners.get(name)?.({ data: JSON.stringify(data) });
  }
}

// Lets all that was asked be answered and drawn.
export async function settle() {
  for (let i = 0; i < 5; ++i) await act(() => new Promise((done) => setTimeout(done, 0)));
}

export async function show(root: HTMLElement, page: ComponentChild) {
  await act(() => render(page, root));
  await settle();
}

export function button(root: HTMLElement, name: string): HTMLElement {
  const within = root.querySelector("dialog") ?? root;
  const found = [...within.querySelectorAll<HTMLElement>("button, a")].find((b) => b.textContent === name);
  if (!found) throw new Error(`no button ${name} in ${within.textContent}`);
  return found;
}

export async function click(root: HTMLElement, name: string) {
  await act(() => button(root, name).click());
  await settle();
}

export async function type(root: HTMLElement, name: string, value: string) {
  const field = root.querySelector<HTMLInputElement>(`[name="${name}"]`);
  if (!field) throw new Error(`no field ${name}`);
  await act(() => {
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
