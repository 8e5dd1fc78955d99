// @vitest-environment jsdom
// The central hospital's page over a fake program.
import { render } from "preact";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { click, FakeProgram, settle, show, type } from "../live/testing";
import type { EventInfo, Overview, RoundInfo, RunDetails, RunInfo } from "./data";
import { merged, Page } from "./page";
import { booksOf } from "./run";
import { doingOf } from "./shared";

const now = Date.now();
const run: RunInfo = {
  id: "glaucoma",
  name: "Glaucoma",
  wanted: "running",
  state: "training",
  why: "",
  created_ms: now - 9e6,
  started_ms: now - 8e6,
  finished_ms: 0,
  round: 3,
  rounds: 30,
  open_round: 4,
  deadline_ms: now + 26 * 60_000,
  waiting_for: ["east-clinic"],
  best_round: 2,
};

const round = (n: number): RoundInfo => ({
  round: n,
  opened_ms: now - 9e5 * (5 - n),
  closed_ms: n < 4 ? now - 9e5 * (4 - n) : 0,
  deadline_ms: 0,
  extended: false,
  needed: 2,
  model_sha256: "ab",
  asks: ["east-clinic", "north", "west"].map((site, i) => ({
    site,
    state: n < 4 ? "answered" : ["waiting", "answered", "failed"][i]!,
    images: 100,
    visits: 100,
    train_loss: 0.5 / n,
    l2: 1,
    sha256: "",
    why: n === 4 && i === 2 ? "the loss became NaN at step 3" : "",
  })),
  train_loss: n < 4 ? 0.5 / n : null,
  validation: { images: 50, loss: 0.4, auc: n < 4 ? 0.8 + n / 50 : null, method: "histograms" },
  test: { images: 90, loss: 0.4, auc: n < 4 ? 0.78 + n / 50 : null, method: "histograms" },
});

const details: RunDetails = {
  run,
  classes: ["normal", "glaucoma"],
  config: "[run]",
  sites: ["east-clinic", "north", "west"].map((site) => ({
    site,
    state: "ready",
    counts: { train: [50, 50], validation: [5, 5], test: [9, 9] },
    why: "",
  })),
  rounds: [1, 2, 3, 4].map(round),
  evaluations: [],
  models: [0, 1, 2, 3],
  has_report: false,
};

const overview: Overview = {
  federation: {
    name: "Himeji <b>Eye</b>",
    address: "fed.example.org:8443",
    authority_sha256: "",
    version: "0.1.0",
    now_ms: now,
    started_ms: now - 1e9,
  },
  sites: [
    {
      name: "east-clinic",
      state: "enrolled",
      why: "",
      online: true,
      invitation_expires_ms: 0,
      invitations: [
        { state: "withdrawn", created_ms: now - 9e8, expires_ms: now, used_ms: 0, withdrawn_ms: now - 8e8 },
        { state: "used", created_ms: now - 8e8, expires_ms: now, used_ms: now - 7e8, withdrawn_ms: 0 },
      ],
      enrolled_ms: 1,
      seen_ms: now,
      revoked_ms: 0,
      certificate_expires_ms: now + 9e9,
      version: "0.1.0",
      address: "203.0.113.8",
      status: { phase: "training", run: "glaucoma", round: 4, step: 2, steps: 9, images_per_second: 3 },
    },
  ],
  runs: [run],
  last_event: 2,
};

const event = (seq: number, kind: string): EventInfo => ({
  seq,
  time_ms: now,
  run: "glaucoma",
  site: "",
  kind,
  fields: { round: 4 },
});

let root: HTMLElement;
let program: FakeProgram;
beforeEach(() => {
  program = new FakeProgram();
  program.get("/api/session", { user: "admin", csrf: "token" });
  program.get("/api/runs/glaucoma", details);
  program.get("/api/events", { events: [event(1, "run_started"), event(2, "round_opened")] });
  program.get("/api/template", { toml: "[run]\nname = \"\"\n" });
  root = document.createElement("div");
  document.body.replaceChildren(root);
  location.hash = "#lang=en";
  localStorage.clear();
  window.scrollTo = () => {};
});
afterEach(() => {
  render(null, root);
  vi.unstubAllGlobals();
});

async function open(hash: string) {
  location.hash = hash;
  await show(root, <Page />);
  await program.send("state", overview);
}

describe("sign-in", () => {
  it("says the same of every wrong name and password", async () => {
    program.answers.set("GET /api/session", { status: 401, json: { error: "sign in first" } });
    program.answers.set("POST /api/session", { status: 401, json: { error: "no" } });
    await show(root, <Page />);
    await type(root, "user", "admin");
    await type(root, "password", "wrong");
    await click(root, "Sign in");
    expect(root.querySelector("[role=alert]")?.textContent).toBe("The user name or the password is wrong.");
    expect(root.querySelector<HTMLInputElement>("[name=password]")?.value).toBe("");
    program.answers.set("POST /api/session", { status: 429, json: { error: "" }, headers: { "Retry-After": "30" } });
    await type(root, "password", "wrong again");
    await click(root, "Sign in");
    expect(root.querySelector("[role=alert]")?.textContent).toContain("Wait 30 seconds");
    program.answers.set("POST /api/session", { json: { user: "admin", csrf: "token" } });
    await type(root, "password", "right");
    await click(root, "Sign in");
    expect(root.querySelector(".sign-in")).toBeNull();
    expect(program.posted("/api/session")?.body).toEqual({ user: "admin", password: "right" });
  });
});

describe("the overview", () => {
  it("is drawn in both languages, names as text", async () => {
    await open("#lang=en");
    expect(root.querySelector("h1")?.textContent).toBe("Himeji <b>Eye</b>");
    expect(root.textContent).toContain("Round 4 of 30: waiting for east-clinic");
    expect(root.textContent).toContain("1 of 1");
    await click(root, "日本語");
    expect(root.textContent).toContain("ラウンド 4／30：east-clinic を待機中");
    expect(document.title).toBe("概要 – Himeji <b>Eye</b>");
  });
});

describe("a run", () => {
  it("shows rounds whose books balance", async () => {
    await open("#lang=en&view=run&run=glaucoma");
    const table = [...root.querySelectorAll("table")].find((t) => t.caption?.textContent?.includes("Rounds, latest"))!;
    const rows = [...table.querySelectorAll("tbody tr")].map((r) => [...r.children].map((c) => c.textContent));
    expect(rows[0]?.slice(0, 7)).toEqual(["4 open", "3", "1", "0", "1", "0", "1"]);
    expect(rows[3]?.slice(0, 7)).toEqual(["1", "3", "3", "0", "0", "0", "0"]);
    for (const r of details.rounds) {
      expect(booksOf(r.asks).reduce((sum, [, n]) => sum + n, 0)).toBe(r.asks.length);
    }
    expect(root.textContent).toContain("the loss became NaN at step 3");
    expect(root.querySelectorAll(".chart svg").length).toBe(2);
    expect(root.querySelector(".chart svg style")).toBeNull();
    expect(root.querySelector(".failed")).toBeNull();
  });

  it("adds an event that comes, once, and reads the run again in the background", async () => {
    await open("#lang=en&view=run&run=glaucoma");
    expect(root.querySelectorAll(".events li").length).toBe(2);
    await program.send("event", event(3, "update_kept"));
    await program.send("event", event(3, "update_kept"));
    expect(root.querySelectorAll(".events li").length).toBe(3);
    expect(root.querySelector(".events li")?.textContent).toContain("Update received and kept");
    await new Promise((done) => setTimeout(done, 300));
    await settle();
    const last = program.asked.filter((a) => a.path === "/api/runs/glaucoma").pop();
    expect(last?.headers["X-Manako-Background"]).toBe("1");
  });

  it("is paused after a question, with the session's token", async () => {
    program.answers.set("POST /api/runs/glaucoma/pause", { json: {} });
    await open("#lang=en&view=run&run=glaucoma");
    await click(root, "Pause");
    expect(program.posted("/api/runs/glaucoma/pause")).toBeUndefined();
    await click(root, "Pause");
    expect(program.posted("/api/runs/glaucoma/pause")?.headers["X-Manako-Csrf"]).toBe("token");
    expect(root.querySelector("dialog")).toBeNull();
  });

  it("gives model.pt of the best round and of others, or says why not", async () => {
    const saved: string[] = [];
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:here", revokeObjectURL: () => {} }));
    const click_link = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      if (this.isConnected) this.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      else saved.push(`${this.download} ${this.href}`);
    });
    program.answers.set("GET /api/runs/glaucoma/model.pt", { status: 404, json: { error: "the model of round 3 is not kept" } });
    await open("#lang=en&view=run&run=glaucoma");
    expect(root.textContent).toContain("opens in Python (torch.jit.load)");
    await click(root, "model.pt");
    expect(root.querySelector("[role=alert] p")?.textContent).toBe("That did not work: the model of round 3 is not kept");
    expect(saved).toEqual([]);
    program.answers.set("GET /api/runs/glaucoma/model.pt", {
      json: "bytes",
      headers: { "Content-Disposition": 'attachment; filename="glaucoma-round-1.pt"' },
    });
    const select = root.querySelector<HTMLSelectElement>(".download select")!;
    select.value = "1";
    select.dispatchEvent(new Event("change", { bubbles: true }));
    await settle();
    await click(root, "model.pt");
    expect(program.asked.at(-1)?.path).toBe("/api/runs/glaucoma/model.pt?round=1");
    expect(root.querySelector("[role=alert] p")).toBeNull();
    expect(saved).toEqual(["glaucoma-round-1.pt blob:here"]);
    click_link.mockRestore();
  });

  it("keeps the question open when the program refuses", async () => {
    program.answers.set("POST /api/runs/glaucoma/cancel", { status: 409, json: { error: "run glaucoma is finished" } });
    await open("#lang=en&view=run&run=glaucoma");
    await click(root, "Cancel run");
    await click(root, "Cancel run");
    expect(root.querySelector("dialog [role=alert]")?.textContent).toContain("run glaucoma is finished");
  });
});

describe("a new run", () => {
  it("begins with the template and shows what the server says of it", async () => {
    program.answers.set("POST /api/runs", { status: 400, json: { error: "run.classes must have 2 names" } });
    await open("#lang=ja&view=new");
    expect(root.querySelector("textarea")?.value).toContain("[run]");
    await click(root, "実行を作成");
    expect(root.querySelector("[role=alert] p")?.textContent).toBe("合意内容は受理されなかった：run.classes must have 2 names");
    program.answers.set("POST /api/runs", { json: { id: "glaucoma" } });
    await click(root, "実行を作成");
    expect(location.hash).toContain("run=glaucoma");
    expect(location.hash).toContain("lang=ja");
  });
});

describe("sites", () => {
  it("are invited with a line that is shown once", async () => {
    program.answers.set("POST /api/sites/kita/invite", {
      json: { line: "manako://secret", site: "kita", expires_ms: now + 9e6 },
    });
    await open("#lang=en&view=sites");
    expect(root.textContent).toContain("training, round 4: step 2 of 9");
    const states = [...root.querySelectorAll("table")].at(-1)?.textContent ?? "";
    expect(states.indexOf("used")).toBeGreaterThan(0);
    expect(states.indexOf("withdrawn", states.indexOf("Used or withdrawn") + 20)).toBeGreaterThan(states.indexOf("used"));
    await click(root, "Invite a site");
    await type(root, "site", "kita");
    await click(root, "Make invitation");
    expect(program.posted("/api/sites/kita/invite")?.body).toEqual({ hours: 72 });
    expect(root.querySelector<HTMLTextAreaElement>("dialog textarea")?.value).toBe("manako://secret");
    await click(root, "Close");
    expect(root.innerHTML).not.toContain("manako://secret");
  });

  it("are asked for again at sign-in when the session has ended", async () => {
    program.answers.set("POST /api/sites/east-clinic/revoke", { status: 401, json: { error: "sign in first" } });
    await open("#lang=en&view=sites");
    await click(root, "Revoke");
    await type(root, "why", "moved");
    await click(root, "Revoke");
    expect(root.querySelector(".sign-in")?.textContent).toContain("The session has ended.");
  });
});

describe("what a run is doing", () => {
  it("is one sentence in every state", () => {
    expect(doingOf({ ...run, wanted: "paused" }).en).toBe("Paused. Round 4 of 30: waiting for east-clinic");
    expect(doingOf({ ...run, state: "gathering", waiting_for: ["a", "b"] }).en).toBe("Waiting for sites to agree: a and b");
    expect(doingOf({ ...run, waiting_for: [] }).en).toBe("Round 4 of 30: averaging the updates");
    expect(doingOf({ ...run, open_round: 0 }).ja).toBe("30ラウンド中 3ラウンド完了");
    expect(doingOf({ ...run, state: "failed", why: "no disk" }).en).toBe("Failed after 3 rounds: no disk");
    expect(doingOf({ ...run, rounds: 0 }).en).toContain("of ?");
  });
});

describe("events", () => {
  it("are merged by number", () => {
    const list = merged([event(2, "a"), event(3, "b")], [event(3, "b"), event(1, "c")]);
    expect(list.map((e) => e.seq)).toEqual([1, 2, 3]);
  });
});
