// @vitest-environment jsdom
// A run's report, drawn whole for every kind of what sites may have sent, in both languages.
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { federatedReport, startedFederatedReport } from "../../../sample/federated";
import { Page } from "../page";
import type { FederatedData } from "./data";

let root: HTMLElement;
beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
  localStorage.clear();
});
afterEach(() => render(null, root));

async function show(data: FederatedData, language: "en" | "ja" = "en") {
  location.hash = `#lang=${language}`;
  await act(() => render(<Page embedded={{ kind: "data", data }} />, root));
}

function hostile(): FederatedData {
  const data = federatedReport();
  const name = "<img src=x onerror=alert(1)>\u202e";
  return { ...data, run: { ...data.run, name, why: name, federation: name }, classes: [name, "{images}"], sites: data.sites.map((s) => ({ ...s, name, why: name })) };
}

const samples = {
  scores: federatedReport("scores"),
  histograms: federatedReport("histograms"),
  metrics: federatedReport("metrics"),
  started: startedFederatedReport(),
  hostile: hostile(),
};

describe.each(Object.entries(samples))("%s", (_name, data) => {
  it.each(["en", "ja"] as const)("is drawn whole in %s", async (language) => {
    await show(data, language);
    expect(root.querySelectorAll("main section").length).toBe(12);
    expect(root.querySelector(".failed")).toBeNull();
    expect(/.{0,20}(undefined|NaN|\[object|Infinity).{0,20}/.exec(root.textContent ?? "")?.[0]).toBeUndefined();
    expect(root.querySelector("main img")).toBeNull();
    expect(root.textContent).not.toContain("\u202e");
    for (const table of root.querySelectorAll("table")) {
      const columns = table.querySelectorAll("thead th").length;
      for (const row of table.querySelectorAll("tbody tr")) expect(row.children.length).toBe(columns);
    }
    if (language === "ja") expect(root.querySelector("main")?.textContent).not.toMatch(/\b(hospitals|images of|interval)\b/);
  });
});

describe("a run's report", () => {
  it("says what its AUC comes from", async () => {
    await show(federatedReport("histograms"));
    expect(root.querySelector(".verdict")?.textContent).toBe("AUC 0.903 (0.867 to 0.933)");
    expect(root.querySelector("#conclusion")?.textContent).toContain("counts of test images in 200 equal bins of the score");
    expect(root.querySelector("#methods")?.textContent).toContain("DeLong’s method on histograms of scores");
    await show(federatedReport("scores"));
    expect(root.querySelector("#conclusion")?.textContent).not.toContain("histograms");
    await show(federatedReport("metrics"));
    expect(root.querySelector("#conclusion")?.textContent).toContain("mean of the sites’ own AUCs");
    expect(root.querySelector("#methods")?.textContent).toContain("Zou GY");
  });

  it("does not call a model good that may be no better than chance", async () => {
    const data = federatedReport();
    await show({ ...data, result: { ...data.result!, auc: { value: 0.6, low: 0.45, high: 0.73, method: "delong_binned" } } });
    expect(root.querySelector(".answer")?.className).not.toContain("answer-shown");
    expect(root.querySelector("#conclusion")?.textContent).toContain("not shown to be better than chance");
  });
});
