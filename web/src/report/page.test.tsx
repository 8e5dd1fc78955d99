// @vitest-environment jsdom
// The whole page, drawn without a browser: every sample in both languages, with nothing missing and nothing that a
// string from a file could have put there.
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  binaryReport,
  hostileReport,
  singleReport,
  threeClassReport,
  unfinishedReport,
} from "../../sample/generate";
import { readEmbedded } from "../kit/embedded";
import type { ReportData } from "./data";
import { Page } from "./page";
import { badgePlace, meanOf, pointsOf } from "./sections/performance";

let root: HTMLElement;
beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
  location.hash = "";
  localStorage.clear();
});
afterEach(() => render(null, root));

async function show(data: unknown, language: "en" | "ja" = "en") {
  render(null, root);
  document.getElementById("manako-report")?.remove();
  location.hash = `#lang=${language}`;
  const holder = document.createElement("script");
  holder.type = "application/json";
  holder.id = "manako-report";
  holder.textContent = typeof data === "string" ? data : JSON.stringify(data);
  document.body.append(holder);
  await act(() => render(<Page embedded={readEmbedded<ReportData>("manako-report", 1)} />, root));
}

function button(name: string): HTMLButtonElement {
  const found = [...root.querySelectorAll("button")].find((b) => b.textContent === name);
  if (!found) throw new Error(`no button ${name}`);
  return found;
}

const samples = { binaryReport, singleReport, threeClassReport, unfinishedReport, hostileReport };

describe.each(Object.entries(samples))("%s", (_name, make) => {
  it.each(["en", "ja"] as const)("is drawn whole in %s", async (language) => {
    await show(make(), language);
    expect(root.querySelectorAll("section").length).toBe(15);
    expect(root.querySelector(".failed")).toBeNull();
    const said = (root.textContent ?? "").replaceAll(/training loss is NaN|損失がNaNになった/g, "");
    expect(/.{0,20}(undefined|NaN|\[object|Infinity).{0,20}/.exec(said)?.[0]).toBeUndefined();
    for (const shape of root.querySelectorAll(".chart svg *")) {
      for (const a of shape.attributes) expect(`${a.name}=${a.value}`).not.toMatch(/NaN|undefined|Infinity/);
    }
    expect(document.documentElement.lang).toBe(language);
    for (const figure of root.querySelectorAll(".chart > *")) {
      expect(figure.getAttribute("role")).toBe("img");
      expect(figure.getAttribute("aria-label")?.length).toBeGreaterThan(10);
    }
    for (const table of root.querySelectorAll("table")) {
      expect(table.querySelector("caption")?.textContent?.trim()).toBeTruthy();
      const columns = table.querySelectorAll("thead th").length;
      for (const row of table.querySelectorAll("tbody tr")) expect(row.children.length).toBe(columns);
    }
    const levels = [...root.querySelectorAll("h1, h2, h3")].map((h) => Number(h.tagName[1]));
    expect(levels.filter((l) => l === 1).length).toBe(1);
  });
});

describe("the report", () => {
  it("says first that images are synthetic, only if they are", async () => {
    await show(binaryReport());
    expect(root.querySelector(".banner")?.textContent).toContain("Synthetic images.");
    await show({ ...binaryReport(), synthetic: false });
    expect(root.querySelector(".banner")).toBeNull();
  });

  it("changes its language, and keeps it in the address", async () => {
    await show(binaryReport());
    expect(root.querySelector("#conclusion h2")?.textContent).toBe("Conclusion");
    await act(() => button("日本語").click());
    expect(root.querySelector("#conclusion h2")?.textContent).toBe("結論");
    expect(document.title).toBe("連合学習と統合学習の比較：glaucoma、cnn3 – Manako");
    expect(location.hash).toBe("#lang=ja");
    expect(localStorage.getItem("manako-language")).toBe("ja");
    expect(button("日本語").getAttribute("aria-pressed")).toBe("true");
  });

  it("shows no threshold and no ROC curve for several classes", async () => {
    await show(threeClassReport());
    expect(root.querySelector("#measures")?.textContent).not.toContain("hold at the threshold");
    expect(root.querySelector("#measures")?.textContent).toContain("Recall: severe");
    expect(root.querySelector("#measures")?.textContent).toContain("Kappa");
    expect(root.querySelector("#roc .chart")).toBeNull();
    expect(root.querySelector("#roc")?.textContent).toContain("tasks of two classes");
  });

  it("shows what was stopped, and why a number is missing", async () => {
    await show(unfinishedReport());
    expect(root.querySelector("#warnings")?.textContent).toContain("training loss is NaN after 41 steps");
    expect(root.querySelector("#measures")?.textContent).toContain("–: missing because training was stopped");
    expect(root.querySelector("#sites")?.textContent).toContain("only one class");
    expect(root.querySelector("#images")?.textContent).toContain("No patient column was given");
    await show(unfinishedReport(), "ja");
    expect(root.querySelector("#warnings")?.textContent).toContain("41ステップで損失がNaNになった");
    expect(root.querySelector("#warnings")?.textContent).not.toContain("training loss is NaN");
  });

  it("shows pictures that are in it, and loads none", async () => {
    await show(binaryReport());
    const pictures = [...root.querySelectorAll("img")];
    expect(pictures.length).toBe(15);
    for (const p of pictures) expect(p.src).toMatch(/^data:image\/png;base64,/);
    expect(root.querySelectorAll(".no-picture").length).toBe(3);
  });

  it("takes strings for text, whatever they hold", async () => {
    await show(hostileReport());
    expect(root.querySelector("img")).toBeNull();
    expect(root.querySelector("script")).toBeNull();
    expect(root.querySelector("[onerror]")).toBeNull();
    expect(root.textContent).not.toContain("\u202e");
    expect(root.textContent).toContain("<script>alert(2)</script>");
  });

  it("names a site once for the eye, and in every row for the ear", async () => {
    await show(binaryReport());
    const heads = [...root.querySelectorAll("#sites tbody th")];
    expect(heads.length).toBe(18);
    expect(heads.every((h) => h.textContent?.match(/Clinic|Hospital/))).toBe(true);
    expect(heads.filter((h) => !h.querySelector(".ditto")).length).toBe(6);
  });

  it("has a title that says what was compared, on what", async () => {
    await show(singleReport());
    expect(root.querySelector("h1")?.textContent).toBe("Federated against pooled training: demo-images, cnn3");
    expect(document.title).toBe("Federated against pooled training: demo-images, cnn3 – Manako");
    expect([...root.querySelectorAll("h1 bdi")].map((b) => b.textContent)).toEqual(["demo-images", "cnn3"]);
    expect(root.querySelector(".compared")?.textContent).not.toContain("manifest.csv");
    await show(singleReport(), "ja");
    expect(root.querySelector("h1")?.textContent).toBe(document.title.replace(" – Manako", ""));
  });

  it("tells the ROC curves of the sites apart without colour, and names each", async () => {
    await show(binaryReport());
    const entries = [...root.querySelectorAll("#roc .legend li")];
    expect(entries.map((e) => e.querySelector("bdi")?.textContent?.replace(/, AUC 0\.\d{3}$/, ""))).toEqual([
      "Pooled",
      "Federated",
      "Alone: Minato Eye Clinic",
      "Alone: Kita General Hospital",
      "Alone: Aoba University Hospital",
    ]);
    expect(entries.map((e) => e.querySelector("svg text")?.textContent)).toEqual([undefined, undefined, "1", "2", "3"]);
    const lines = entries.map((e) => e.querySelector("line")!);
    expect(new Set(lines.map((l) => l.getAttribute("stroke-dasharray") ?? "")).size).toBe(5);
    expect(new Set(lines.slice(2).map((l) => l.getAttribute("stroke"))).size).toBe(1);
    // The chart draws what the legend says.
    const drawn = [...root.querySelectorAll("#roc .chart [aria-label='line']")];
    const dashes = (list: Element[]) => list.map((l) => l.getAttribute("stroke-dasharray") ?? "").sort();
    expect(dashes(drawn)).toEqual(dashes(lines));
    const numbers = [...root.querySelectorAll("#roc .chart [aria-label='text'] text")].map((n) => n.textContent);
    expect(numbers).toEqual(["1", "2", "3"]);
  });

  it("says once what the data and the page both know", async () => {
    await show(singleReport());
    expect(root.querySelector("#warnings")?.textContent).toContain("No warnings");
    expect(root.textContent?.split("trained once").length).toBe(2);
    await show(unfinishedReport());
    expect(root.textContent?.split("training loss is NaN").length).toBe(2);
  });

  it("warns of models that may have learnt nothing, by the arm's name", async () => {
    const data = binaryReport();
    data.arms[2]!.auc.low = 0.49;
    await show(data);
    expect(root.querySelector("#warnings li")?.textContent).toContain("above chance (0.5) for “alone”: ");
    await show(data, "ja");
    expect(root.querySelector("#warnings li")?.textContent).toContain("「単独学習」のAUC");
  });

  it("has no second row for the whole of one experiment", async () => {
    const rows = () => root.querySelectorAll("#experiments table.cells tbody tr").length;
    await show(singleReport());
    expect(rows()).toBe(3);
    await show(binaryReport());
    expect(rows()).toBe(18);
  });

  it("survives a part that cannot be drawn", async () => {
    const data = binaryReport();
    (data.arms[0] as unknown as { confusion: unknown }).confusion = 7;
    await show(data);
    expect(root.querySelectorAll(".failed").length).toBe(1);
    expect(root.querySelector("#confusion .failed")).not.toBeNull();
    expect(root.querySelector("#methods li")).not.toBeNull();
  });

  it("says what is wrong with a page without a report", async () => {
    await show("null");
    expect(root.textContent).toContain("holds no report");
    await show('{"format": 1');
    expect(root.textContent).toContain("cannot be read");
    await show({ format: 2 }, "ja");
    expect(root.textContent).toContain("形式は 2");
  });

  it("shows arms without results as arms without results", async () => {
    const data = { ...binaryReport(), arms: [], comparisons: [], cells: [] };
    await show(data);
    expect(root.querySelector(".failed")).toBeNull();
    expect(root.textContent).toContain("Not answered by this study");
  });
});

describe("on a phone", () => {
  it("numbers stand below names, and nothing is drawn behind either", async () => {
    vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(358);
    await show(binaryReport());
    vi.restoreAllMocks();
    for (const chart of [...root.querySelectorAll("#result .chart svg")]) {
      expect(chart.getAttribute("width")).toBe("358");
      const groups = [...chart.querySelectorAll("[aria-label='text']")];
      const at = (words: RegExp) =>
        groups
          .filter((g) => words.test(g.textContent ?? ""))
          .map((g) => Number(/translate\([^,]*,([\d.-]+)\)/.exec(g.getAttribute("transform") ?? "")?.[1]));
      const names = at(/^(Pooled|Federated|Alone)/);
      const numbers = at(/ to /);
      expect(names.length).toBe(3);
      expect(numbers.length).toBe(3);
      // A line of 13 px text.
      for (const [i, y] of names.entries()) expect(numbers[i]! - y).toBeGreaterThanOrEqual(16);
      const rules = [...chart.querySelectorAll("[aria-label='x-grid'] line, [aria-label='rule'] line")];
      expect(rules.length).toBeGreaterThan(3);
      for (const rule of rules) expect(Number(rule.getAttribute("y1"))).toBeGreaterThan(numbers[0]! + 8);
    }
  });
});

describe("the numbers on ROC curves", () => {
  // Steps, as a curve of a few images has them.
  const curve = [0, 0, 0.2, 0.2, 0.5, 0.5, 1].map((fpr, i) => ({ fpr, tpr: [0, 0.4, 0.4, 0.7, 0.7, 1, 1][i]! }));

  it("stand on their curve", () => {
    const place = badgePlace(curve, 0, 1);
    expect(place?.fpr).toBeCloseTo(0.3);
    expect(place?.tpr).toBeCloseTo(0.7);
    expect(badgePlace([], 0, 1)).toBeNull();
  });

  it.each([2, 3, 9, 15])("do not meet, though all %i curves are the same", (count) => {
    const places = Array.from({ length: count }, (_, i) => badgePlace(curve, i, count)!);
    for (const [i, a] of places.entries()) {
      for (const b of places.slice(0, i)) {
        // In a chart that a phone shows: 286 px between the axes, circles of 17 px, which may touch a little.
        expect(286 * Math.hypot(a.fpr - b.fpr, a.tpr - b.tpr)).toBeGreaterThan(15);
      }
    }
  });
});

describe("the mean over trainings", () => {
  it("ends where the first of them ended", () => {
    const curve = (values: (number | null)[]) => ({
      repeat: 1,
      fold: 1,
      site: null,
      rounds: values.map((_, i) => i),
      train_loss: values,
      validation_auc: values,
      test_auc: values,
      best_round: 0,
    });
    const a = pointsOf(curve([0.5, 0.6, 0.9]), "test_auc", "a");
    const b = pointsOf(curve([0.5, 0.8, null]), "test_auc", "b");
    expect(meanOf([a, b, []])).toEqual([
      { round: 0, value: 0.5 },
      { round: 1, value: 0.7 },
    ]);
  });
});
