// @vitest-environment jsdom
// The branch hospital's page over a fake program.
import { render } from "preact";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { click, FakeProgram, show, type } from "../live/testing";
import type { LedgerPage, Overview } from "./data";
import { Page } from "./page";

const now = Date.now();
const overview: Overview = {
  status: {
    site: "east-clinic",
    federation: "Himeji Eye Federation",
    server: "fed.example.org:8443",
    version: "0.1.0",
    now_ms: now,
    reported_ms: now,
    agent_runs: true,
    connected: true,
    paused: false,
    problem: "",
    clock_skew_ms: 61_000,
    work: { phase: "training", run: "glaucoma", round: 4, step: 23, steps: 77, images_per_second: 41.5 },
    run_name: "Glaucoma",
    rounds_in_a_day: 3,
    questions: 1,
  },
  runs: [{ run: "dr", name: "Retinopathy", stage: "asked", why: "", round: 0, rounds: 0, config: "[run]\nname = \"DR\"" }],
  questions: [
    {
      run: "dr",
      round: 0,
      name: "Retinopathy",
      facts: ["resnet18 on 612 images"],
      leaves: ["parameters <b>", "counts"],
      asked_ms: now - 60_000,
      state: "waiting",
      by: "",
      why: "",
      answered_ms: 0,
    },
  ],
  last_line: 40,
};
const ledger: LedgerPage = {
  lines: 40,
  intact: true,
  problem: "",
  entries: Array.from({ length: 25 }, (_, i) => ({
    seq: 40 - i,
    time_ms: now,
    kind: i % 2 ? "receipt" : "update",
    run: "dr",
    round: 3,
    contents: "parameters",
    bytes: 46_827_520,
    sha256: "0123456789abcdef".repeat(4),
    l2: i % 2 ? null : 1.4,
    recipient: "fed.example.org:8443",
    recipient_fingerprint: "ff",
    receipt: i % 2 ? "kept" : "",
    why: "",
    log_seq: i % 2 ? 7 : 0,
    log_hash: "",
  })),
};

let root: HTMLElement;
let program: FakeProgram;
beforeEach(() => {
  program = new FakeProgram();
  program.get("/api/session", { user: "admin", csrf: "token" });
  program.get("/api/ledger", ledger);
  root = document.createElement("div");
  document.body.replaceChildren(root);
  location.hash = "#lang=en";
  localStorage.clear();
});
afterEach(() => {
  render(null, root);
  vi.unstubAllGlobals();
});

async function open(data: Overview) {
  await show(root, <Page />);
  await program.send("state", data);
}

describe("the page", () => {
  it("says what runs here, what waits and what has left", async () => {
    await open(overview);
    expect(document.title).toBe("(1) east-clinic – Manako");
    expect(root.querySelector(".lead")?.textContent).toBe("Training: Glaucoma");
    expect(root.textContent).toContain("Step 23 of 77");
    expect(root.textContent).toContain("+61 s");
    expect(root.textContent).toContain("parameters <b>");
    expect(root.textContent).toContain("Receipt: kept");
    expect(root.textContent).toContain("47 MB");
    expect(root.textContent).toContain("40 lines.");
    expect(root.querySelector(".failed")).toBeNull();
    await click(root, "日本語");
    expect(root.textContent).toContain("受領証：受領");
    expect(root.textContent).toContain("サーバー記録 7 行目");
  });

  it.each([
    [{ agent_runs: false }, "The agent is not running"],
    [{ connected: false }, "No connection to the server"],
    [{ problem: "the disk is full" }, "the disk is full"],
    [{ paused: true, work: { ...overview.status.work, phase: "idle" } }, "Stopped by a person"],
    [{ work: { ...overview.status.work, phase: "idle", run: "" } }, "Nothing to do at the moment"],
  ])("says in one line how it is: %j", async (change, said) => {
    await open({ ...overview, status: { ...overview.status, ...change } });
    expect(root.querySelector(".lead")?.textContent).toContain(said);
  });

  it("approves after showing again what would leave", async () => {
    program.answers.set("POST /api/answer", { json: {} });
    await open(overview);
    await click(root, "Approve");
    expect(root.querySelector("dialog")?.textContent).toContain("parameters <b>");
    expect(program.posted("/api/answer")).toBeUndefined();
    await click(root, "Approve");
    expect(program.posted("/api/answer")?.body).toEqual({ run: "dr", round: 0, granted: true, why: "" });
    expect(program.posted("/api/answer")?.headers["X-Manako-Csrf"]).toBe("token");
  });

  it("refuses with a reason", async () => {
    program.answers.set("POST /api/answer", { json: {} });
    await open(overview);
    await click(root, "Refuse");
    await type(root, "why", "no staff");
    await click(root, "Refuse");
    expect(program.posted("/api/answer")?.body).toEqual({ run: "dr", round: 0, granted: false, why: "no staff" });
  });

  it("stops and resumes", async () => {
    program.answers.set("POST /api/pause", { json: {} });
    program.answers.set("POST /api/resume", { json: {} });
    await open(overview);
    await click(root, "Stop");
    await click(root, "Stop");
    expect(program.posted("/api/pause")).toBeDefined();
    await program.send("state", { ...overview, status: { ...overview.status, paused: true } });
    expect(root.textContent).toContain("Stopped by a person");
    await click(root, "Resume");
    await click(root, "Resume");
    expect(program.posted("/api/resume")).toBeDefined();
  });

  it("pages back through the ledger, and says when it is not intact", async () => {
    await open(overview);
    await click(root, "Show earlier lines");
    expect(program.asked.some((a) => a.path === "/api/ledger?before=16&limit=25")).toBe(true);
    program.get("/api/ledger", { ...ledger, intact: false, problem: "line 7 was changed" });
    await click(root, "Show the newest lines");
    expect(root.textContent).toContain("The ledger is not intact: line 7 was changed.");
    expect(root.textContent).not.toContain("no change and no gap");
  });
});
