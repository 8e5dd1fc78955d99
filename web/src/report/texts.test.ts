// That every text exists in both languages, says the same things in both, and is Japanese where it should be.
import { describe, expect, it } from "vitest";
import { kMetrics, kProtocol, metricName, protocolName } from "./labels";
import { kMethods } from "./methods";
import { federatedTexts } from "./federated/texts";
import { texts } from "./texts";

const all = [
  ...Object.entries(texts),
  ...Object.entries(federatedTexts).map(([k, v]) => [`federated ${k}`, v] as const),
  ...[...kMetrics].map(([k, v]) => [`metric ${k}`, v] as const),
  ...[...kProtocol].map(([k, v]) => [`protocol ${k}`, v] as const),
  ...[...kMethods].map(([k, v]) => [`method ${k}`, v.what] as const),
];
// What has no other name in Japanese.
const kSameInBoth = new Set(["auc", "methods_arm_auc", "metric auc", "made_by", "title_with_names", "name_and_auc", "federated verdict"]);
const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe.each(all)("%s", (name, text) => {
  it("exists in both languages", () => {
    expect(text.en.trim()).not.toBe("");
    expect(text.ja.trim()).not.toBe("");
    expect(text.en).not.toMatch(/[\u3040-\u30ff\u4e00-\u9fff]/);
    if (!kSameInBoth.has(name)) expect(text.ja).toMatch(/[\u3040-\u30ff\u4e00-\u9fff]/);
  });

  it("has the same places to fill in", () => {
    expect(placeholders(text.ja)).toEqual(placeholders(text.en));
  });

  it("has the punctuation of its language", () => {
    expect(text.ja.replace(/\{\w+\}/g, "")).not.toMatch(/[(),;~]|: /);
    expect(text.en).not.toMatch(/[（）、。：〜']/);
  });
});

describe("names", () => {
  it("are found with and without their table, and are the key itself where unknown", () => {
    expect(protocolName("train.batch")).toEqual(protocolName("batch"));
    expect(protocolName("constructor")).toEqual({ en: "constructor", ja: "constructor" });
    expect(metricName("__proto__").en).toBe("__proto__");
    expect(metricName("recall:a:b").ja).toBe("再現率：a:b");
  });

  it("exist for every method that the data's contract names", () => {
    for (const id of [
      "delong",
      "delong_clustered",
      "wilson",
      "bootstrap",
      "bootstrap_paired",
      "mover",
      "newcombe",
      "wilson_clustered",
      "t_over_repeats",
      "delong_paired",
      "delong_paired_clustered",
      "obuchowski_rockette",
      "corrected_t",
    ]) {
      expect(kMethods.has(id), id).toBe(true);
    }
  });
});
