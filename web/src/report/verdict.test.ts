import { describe, expect, it } from "vitest";
import { binaryReport, singleReport, threeClassReport, unfinishedReport } from "../../sample/generate";
import type { Comparison, ReportData } from "./data";
import { gainConclusion, marginText, matchConclusion, scope } from "./verdict";
import type { Conclusion } from "./verdict";
import { atChance } from "./warnings";

type Equivalence = NonNullable<Comparison["equivalence"]>;

// A study with these intervals of federated - pooled (95% and 90%) and this verdict.
function matched(
  value: number,
  interval: [number, number],
  interval90: [number, number],
  verdict: Equivalence["verdict"],
): Conclusion {
  const data = binaryReport();
  const c = data.comparisons[0]!;
  c.difference = { value, low: interval[0], high: interval[1], method: "delong_paired" };
  c.equivalence = { margin: 0.02, low90: interval90[0], high90: interval90[1], verdict, p_value: 0.03 };
  return matchConclusion(data);
}

function gained(value: number, low: number | null, high: number | null): Conclusion {
  const data = binaryReport();
  const c = data.comparisons[1]!;
  c.difference = { value, low, high, method: "delong_paired" };
  c.p_value = 0.03;
  return gainConclusion(data);
}

function both(c: Conclusion): string {
  return `${c.verdict.en} ${c.explanation.en} | ${c.verdict.ja} ${c.explanation.ja}`;
}

// Nothing may call two models the same, and every place is filled in.
function expectSober(c: Conclusion) {
  expect(both(c)).not.toMatch(/\{\w+\}/);
  expect(c.explanation.en).not.toMatch(/no difference between|identical|as good as|prove/i);
  expect(c.explanation.ja).not.toMatch(/差はなかった|同じである|証明された/);
  expect(c.verdict.ja).toMatch(/[\u3040-\u30ff\u4e00-\u9fff]/);
}

describe("federated against pooled", () => {
  it("equivalent, interval over zero", () => {
    const c = matched(-0.003, [-0.012, 0.006], [-0.01, 0.005], "equivalent");
    expectSober(c);
    expect(c.kind).toBe("shown");
    expect(c.verdict.en).toBe("Equivalent in AUC to pooled training, within the margin of ±0.02");
    expect(c.verdict.ja).toContain("同等性が示された");
    expect(c.explanation.en).toContain("−0.003 (95% confidence interval −0.012 to +0.006)");
    expect(c.explanation.en).toContain("−0.010 to +0.005");
    expect(c.explanation.en).toContain("does not mean that the two models are the same");
    expect(c.explanation.ja).toContain("同一であることや、同じ画像を誤ることを意味しない");
    expect(c.explanation.en).not.toContain("excludes zero");
  });

  it("equivalent, yet measurably worse or better", () => {
    const worse = matched(-0.008, [-0.015, -0.001], [-0.014, -0.002], "equivalent");
    expect(worse.explanation.en).toContain("if slightly, worse");
    expect(worse.explanation.ja).toContain("わずかに低い");
    const better = matched(0.008, [0.001, 0.015], [0.002, 0.014], "equivalent");
    expect(better.explanation.en).toContain("if slightly, better");
    expect(better.explanation.ja).toContain("わずかに高い");
  });

  it("not inferior", () => {
    const c = matched(0.01, [-0.013, 0.033], [-0.01, 0.03], "not_inferior");
    expectSober(c);
    expect(c.kind).toBe("shown");
    expect(c.verdict.en).toContain("equivalence is not shown");
    expect(c.verdict.ja).toContain("非劣性が示された");
    expect(c.explanation.en).toContain("cannot be called equivalent");
    expect(c.explanation.ja).toContain("同等とはいえない");
  });

  it("better by more than the margin is a reason to look again", () => {
    const c = matched(0.05, [0.027, 0.073], [0.03, 0.07], "not_inferior");
    expectSober(c);
    expect(c.explanation.en).toContain("check its settings");
    expect(c.explanation.ja).toContain("確認されたい");
  });

  it("inferior", () => {
    const c = matched(-0.05, [-0.073, -0.027], [-0.07, -0.03], "inferior");
    expectSober(c);
    expect(c.kind).toBe("against");
    expect(c.verdict.en).toMatch(/^Worse than pooled training by more than 0\.02/);
    expect(c.verdict.ja).toContain("劣っていた");
  });

  it("inconclusive, where no significant difference is not equality", () => {
    const c = matched(-0.01, [-0.04, 0.02], [-0.035, 0.015], "inconclusive");
    expectSober(c);
    expect(c.kind).toBe("open");
    expect(c.verdict.en).toMatch(/^Undecided/);
    expect(c.verdict.ja).toContain("結論は得られなかった");
    expect(c.explanation.en).toContain("does not mean that there is none");
    expect(c.explanation.ja).toContain("差がないことを意味しない");
  });

  it("inconclusive, but significantly worse", () => {
    const c = matched(-0.02, [-0.035, -0.005], [-0.033, -0.007], "inconclusive");
    expectSober(c);
    expect(c.explanation.en).toContain("how much worse is open");
    expect(c.explanation.ja).toContain("有意に低かった");
    expect(c.explanation.en).not.toContain("does not mean that there is none");
  });

  it("has no verdict without an equivalence test", () => {
    const data = binaryReport();
    data.comparisons[0]!.equivalence = null;
    const c = matchConclusion(data);
    expectSober(c);
    expect(c.kind).toBe("open");
    expect(c.verdict.en).toContain("could not be tested");
  });

  it("puts no words in the mouth of a verdict that it does not know", () => {
    const c = matched(0, [-0.01, 0.01], [-0.009, 0.009], "superior" as Equivalence["verdict"]);
    expect(c.kind).toBe("open");
    expect(both(c)).not.toMatch(/superior/);
  });

  it("says what is missing", () => {
    const without: ReportData = { ...binaryReport() };
    without.arms = without.arms.filter((a) => a.name !== "pooled");
    without.comparisons = without.comparisons.filter((c) => c.b !== "pooled");
    const c = matchConclusion(without);
    expect(c.kind).toBe("missing");
    expect(c.explanation.en).toContain("“pooled”");
    expect(c.explanation.ja).toContain("「統合学習」");

    const stopped = matchConclusion(unfinishedReport());
    expect(stopped.kind).toBe("missing");
    expect(stopped.explanation.en).toContain("stopped");
    expect(stopped.explanation.ja).toContain("中断");

    const undefinedAuc = binaryReport();
    undefinedAuc.comparisons[0]!.difference.value = null;
    expect(matchConclusion(undefinedAuc).explanation.en).toContain("undefined");
    expect(matchConclusion(undefinedAuc).explanation.ja).toContain("定義されない");
  });

  it("names the macro-averaged AUC where that is what was measured", () => {
    const c = matchConclusion(threeClassReport());
    expect(c.explanation.en).toContain("The macro-averaged AUC was");
    expect(c.explanation.ja).toContain("マクロ平均AUCは");
  });
});

describe("federated against alone", () => {
  it("a gain", () => {
    const c = gained(0.059, 0.047, 0.071);
    expectSober(c);
    expect(c.kind).toBe("shown");
    expect(c.verdict.en).toContain("0.059 above");
    expect(c.verdict.ja).toContain("平均 0.059");
    expect(c.explanation.en).toMatch(/statistically significant \(p.=.0\.030\)/);
    expect(c.explanation.en).toMatch(/single sites ranged from 0\.\d{3} to 0\.\d{3}/);
  });

  it("a loss", () => {
    const c = gained(-0.03, -0.05, -0.01);
    expectSober(c);
    expect(c.kind).toBe("against");
    expect(c.verdict.en).toContain("0.030 below");
    expect(c.verdict.ja).toContain("低かった");
  });

  it("open", () => {
    const c = gained(0.01, -0.01, 0.03);
    expectSober(c);
    expect(c.kind).toBe("open");
    expect(c.explanation.en).toContain("from −0.010 to +0.030");
    expect(c.explanation.ja).toContain("−0.010から+0.030");
    expect(c.explanation.en).toContain("neither shown nor ruled out");
  });

  it("without an interval nothing is claimed", () => {
    const c = gained(0.2, null, null);
    expectSober(c);
    expect(c.kind).toBe("open");
    expect(c.explanation.en).toContain("no confidence interval could be computed");
  });

  it("says what is missing", () => {
    const c = gainConclusion(unfinishedReport());
    expect(c.kind).toBe("missing");
  });
});

describe("models that may have learnt nothing", () => {
  it("show no equivalence without a caution", () => {
    const data = binaryReport();
    const plain = matchConclusion(data);
    expect(plain.verdict.en).not.toContain("caution");
    data.arms[0]!.auc.low = 0.5;
    const c = matchConclusion(data);
    expectSober(c);
    expect(c.verdict.en).toBe(`With caution: ${plain.verdict.en}`);
    expect(c.verdict.ja).toMatch(/^要注意：/);
    expect(c.explanation.en).toMatch(/^Caution: .*“pooled”, so this comparison/);
    expect(c.explanation.ja).toContain("「統合学習」");
  });

  it("are those whose interval reaches down to chance, or that have none; not those without a result", () => {
    const arm = binaryReport().arms[0]!;
    const auc = (value: number | null, low: number | null) => atChance({ ...arm, auc: { ...arm.auc, value, low } });
    expect(auc(0.6, 0.501)).toBe(false);
    expect(auc(0.6, 0.5)).toBe(true);
    expect(auc(0.4, 0.3)).toBe(true);
    expect(auc(0.6, null)).toBe(true);
    expect(auc(null, null)).toBe(false);
    expect(atChance(undefined)).toBe(false);
  });
});

describe("scope", () => {
  it("warns of a single training", () => {
    const data = binaryReport();
    expect(scope(data).some((t) => t.en.includes("trained once"))).toBe(false);
    expect(scope(data).some((t) => t.en.includes("5 times in all (5 repeats"))).toBe(true);
    const one = singleReport();
    expect(scope(one).some((t) => t.en.includes("trained once"))).toBe(true);
    expect(scope(one).some((t) => t.en.includes("planned"))).toBe(false);
    data.protocol.repeats = 1;
    data.protocol.folds = 5;
    expect(scope(data).some((t) => t.en.includes("5 times in all (1 × 5-fold"))).toBe(true);
  });

  it("counts the experiments that have results, not those that were planned", () => {
    const data = binaryReport();
    for (const cell of data.cells.slice(2)) for (const m of cell.auc) m.value = null;
    expect(scope(data)[0]?.en).toContain("2 of 5 planned");
    expect(scope(data)[0]?.ja).toContain("計画した5回の実験（反復・分割）のうち、結果が得られたのは2回");
    expect(scope(data).some((t) => /in all|trained once/.test(t.en))).toBe(false);
    data.cells.length = 1;
    expect(scope(data)[0]?.en).toContain("1 of 5 planned");
    expect(scope(data)[1]?.en).toContain("trained once");
    data.cells = [];
    expect(scope(data).some((t) => /planned|in all|trained once/.test(t.en))).toBe(false);
  });

  it("says that training was stopped", () => {
    expect(scope(binaryReport()).some((t) => t.en.includes("stopped"))).toBe(false);
    expect(scope(unfinishedReport()).some((t) => t.en.includes("stopped before its end for 2 of 5 models"))).toBe(true);
    expect(scope(unfinishedReport()).some((t) => t.ja.includes("5モデル中2モデル"))).toBe(true);
  });

  it("warns of a test set from the same source", () => {
    const data = binaryReport();
    expect(scope(data).some((t) => t.ja.includes("同じ出所"))).toBe(true);
    data.data.test_given = true;
    expect(scope(data).some((t) => t.ja.includes("同じ出所"))).toBe(false);
  });
});

describe("margins", () => {
  it("have as many digits as they need", () => {
    expect(marginText(0.02)).toBe("0.02");
    expect(marginText(0.025)).toBe("0.025");
    expect(marginText(0.1)).toBe("0.10");
  });
});
