// From statistics to words: the two questions that a study answers, each with a verdict in one line and what it rests
// on. The words never go further than the intervals: the absence of a significant difference is not called equality,
// and equivalence is always named with its margin.
//
// Verdicts are the program's (data.ts: Comparison.equivalence); this file words them and computes none.
import { fixed, isNumber, pValue, range, signed } from "../kit/format";
import { fill, sentences } from "../kit/language";
import type { Text } from "../kit/language";
import type { Arm, Comparison, Estimate, ReportData } from "./data";
import { quotedArms } from "./labels";
import { atChance } from "./warnings";

export interface Conclusion {
  question: Text;
  verdict: Text;
  explanation: Text;
  kind: "shown" | "open" | "against" | "missing";
}

export const kQuestionMatch: Text = {
  en: "Does federated training match training on pooled images?",
  ja: "連合学習は、画像を1か所に集めた統合学習に匹敵するか",
};
export const kQuestionGain: Text = {
  en: "What does a hospital gain by joining?",
  ja: "施設が参加することで何が得られるか",
};

const kMetric = {
  auc: { en: "AUC", ja: "AUC" },
  macro_auc: { en: "macro-averaged AUC", ja: "マクロ平均AUC" },
};

// Digits of a margin: 0.02 -> "0.02", 0.025 -> "0.025".
export function marginText(margin: number): string {
  const two = margin.toFixed(2);
  return Math.abs(Number(two) - margin) < 1e-9 ? two : margin.toFixed(3);
}

function excludesZero(e: Estimate): "above" | "below" | null {
  if (isNumber(e.low) && e.low > 0) return "above";
  if (isNumber(e.high) && e.high < 0) return "below";
  return null;
}

function find(data: ReportData, a: string, b: string): Comparison | undefined {
  return data.comparisons.find((c) => c.a === a && c.b === b);
}

function arm(data: ReportData, name: string): Arm | undefined {
  return data.arms.find((a) => a.name === name);
}

// Why a comparison has no number; null if it has one.
function missing(data: ReportData, a: string, b: string): { verdict: Text; explanation: Text } | null {
  const absent = [a, b].filter((name) => !arm(data, name));
  if (absent.length > 0) {
    return {
      verdict: { en: "Not answered by this study", ja: "本試験では評価していない" },
      explanation: fill(
        {
          en: "There are no results for {names}, so there is nothing to compare.",
          ja: "{names}の結果がないため、比較できない。",
        },
        { names: quotedArms(absent) },
      ),
    };
  }
  if (isNumber(find(data, a, b)?.difference.value)) return null;
  const stopped = [a, b].some((name) => (arm(data, name)?.stopped.length ?? 0) > 0);
  return {
    verdict: { en: "Not answered: no difference could be computed", ja: "判定不能（差を算出できない）" },
    explanation: stopped
      ? {
          en: "Training was stopped before there were results to compare; the reason stands under Warnings.",
          ja: "比較できる結果が得られる前に訓練が中断された。理由は「注意事項」に示す。",
        }
      : {
          en: "The AUC is undefined for at least one of the two, for instance because the test images are of one class only.",
          ja: "テスト画像が1クラスのみであるなどの理由で、少なくとも一方のAUCが定義されない。",
        },
  };
}

// "The AUC was 0.912 with ... and 0.915 with ...; difference -0.003 (95% CI -0.011 to 0.005)."
function numbers(data: ReportData, comparison: Comparison): Text {
  const d = comparison.difference;
  const hasInterval = isNumber(d.low) && isNumber(d.high);
  const interval = hasInterval
    ? fill(
        { en: " (95% confidence interval {r})", ja: "（95%信頼区間 {r}）" },
        { r: range(d.low, d.high, (x) => signed(x, 3)) },
      )
    : { en: " (no confidence interval could be computed)", ja: "（信頼区間は算出できない）" };
  return fill(
    comparison.b === "pooled"
      ? {
          en: "The {metric} was {a} with federated and {b} with pooled training, a difference of {d}{interval}.",
          ja: "{metric}は連合学習で{a}、統合学習で{b}、差は{d}{interval}であった。",
        }
      : {
          en: "The {metric} was {a} with federated training and, on average over the sites, {b} for a site that trained alone, a difference of {d}{interval}.",
          ja: "{metric}は連合学習で{a}、単独学習では施設平均で{b}、差は{d}{interval}であった。",
        },
    {
      metric: kMetric[data.protocol.primary_metric] ?? kMetric.auc,
      a: fixed(arm(data, comparison.a)?.auc.value, 3),
      b: fixed(arm(data, comparison.b)?.auc.value, 3),
      d: signed(d.value, 3),
      interval,
    },
  );
}

// Two models that have both learnt nothing are equal, too.
function chanceCaution(data: ReportData, names: string[]): Text | false {
  const arms = names.filter((name) => atChance(arm(data, name)));
  if (arms.length === 0) return false;
  return fill(
    {
      en: "Caution: the AUC is not shown to be above chance (0.5) for {arms}, so this comparison says nothing about the way of training.",
      ja: "ただし{arms}のAUCが偶然（0.5）を上回ることは示されておらず、この比較から訓練方法の優劣は判断できない。",
    },
    { arms: quotedArms(arms) },
  );
}

export function matchConclusion(data: ReportData): Conclusion {
  const conclusion = judgedMatch(data);
  const caution = conclusion.kind === "shown" && chanceCaution(data, ["federated", "pooled"]);
  if (!caution) return conclusion;
  return {
    ...conclusion,
    verdict: sentences({ en: "With caution:", ja: "要注意：" }, conclusion.verdict),
    explanation: sentences(caution, conclusion.explanation),
  };
}

function judgedMatch(data: ReportData): Conclusion {
  const question = kQuestionMatch;
  const gap = missing(data, "federated", "pooled");
  const comparison = find(data, "federated", "pooled");
  if (gap || !comparison) {
    return { question, kind: "missing", ...(gap as { verdict: Text; explanation: Text }) };
  }
  const figures = numbers(data, comparison);
  const e = comparison.equivalence;
  if (!e || !isNumber(e.low90) || !isNumber(e.high90)) {
    return {
      question,
      kind: "open",
      verdict: { en: "Undecided: equivalence could not be tested", ja: "判定保留（同等性を検定できない）" },
      explanation: sentences(figures, {
        en: "Without an interval nothing can be said about chance; more repeats or more test images are needed.",
        ja: "信頼区間がないため、偶然の影響を評価できない。反復数またはテスト画像を増やす必要がある。",
      }),
    };
  }
  const values = {
    margin: marginText(e.margin),
    ci90: range(e.low90, e.high90, (x) => signed(x, 3)),
    low: signed(e.low90, 3),
    high: signed(e.high90, 3),
    p: isNumber(e.p_value) ? { en: `, ${pValue(e.p_value)}`, ja: `、${pValue(e.p_value)}` } : "",
  };
  const side = excludesZero(comparison.difference);
  const say = (text: Text) => fill(text, values);
  switch (e.verdict) {
    case "equivalent":
      return {
        question,
        kind: "shown",
        verdict: say({
          en: "Equivalent in AUC to pooled training, within the margin of ±{margin}",
          ja: "統合学習とのAUCの同等性が示された（マージン ±{margin}）",
        }),
        explanation: sentences(
          figures,
          say({
            en: "The whole 90% confidence interval ({ci90}) lies inside the margin of ±{margin} that was set for this study, so equivalence is shown at the 5% level (two one-sided tests{p}).",
            ja: "90%信頼区間（{ci90}）がすべて、本試験で設定したマージン±{margin}の範囲内にあり、有意水準5%で同等性が示された（2つの片側検定{p}）。",
          }),
          side === "below" && {
            en: "The federated model was nevertheless measurably, if slightly, worse: the 95% interval excludes zero.",
            ja: "ただし95%信頼区間は0を含まず、連合学習の方がわずかに低いことも統計学的に認められた。",
          },
          side === "above" && {
            en: "The federated model was measurably, if slightly, better: the 95% interval excludes zero.",
            ja: "なお95%信頼区間は0を含まず、連合学習の方がわずかに高いことも統計学的に認められた。",
          },
          say({
            en: "This does not mean that the two models are the same or err on the same images, and whether ±{margin} is small enough to be harmless in practice is a clinical judgement.",
            ja: "これは両モデルが同一であることや、同じ画像を誤ることを意味しない。±{margin}の差が臨床的に許容できるかどうかは、臨床的判断による。",
          }),
        ),
      };
    case "not_inferior":
      return {
        question,
        kind: "shown",
        verdict: say({
          en: "Not worse than pooled training by more than {margin} in AUC; equivalence is not shown",
          ja: "統合学習に対する非劣性が示された（マージン {margin}）。同等性は示されていない",
        }),
        explanation: sentences(
          figures,
          say({
            en: "The lower end of the 90% confidence interval ({ci90}) is above −{margin}, so a loss of more than {margin} is ruled out at the 5% level.",
            ja: "90%信頼区間（{ci90}）の下限が−{margin}を上回り、{margin}を超える性能低下は有意水準5%で否定された。",
          }),
          e.low90 > e.margin
            ? say({
                en: "The whole interval is above +{margin}: the federated model was better by more than the margin. Pooled training sees every image and is expected to be at least as good, so check its settings before relying on this.",
                ja: "区間全体が+{margin}を上回り、連合学習がマージンを超えて優れていた。統合学習は全画像を用いるため同等以上が期待される。この結果を採用する前に、統合学習の訓練設定を確認されたい。",
              })
            : say({
                en: "Its upper end is above +{margin}, so the data also allow the federated model to be better by more than the margin, and the two cannot be called equivalent.",
                ja: "上限は+{margin}を上回り、連合学習がマージンを超えて優れる可能性も残るため、同等とはいえない。",
              }),
        ),
      };
    case "inferior":
      return {
        question,
        kind: "against",
        verdict: say({
          en: "Worse than pooled training by more than {margin} in AUC",
          ja: "統合学習に劣っていた（マージン {margin} を超えるAUCの低下）",
        }),
        explanation: sentences(
          figures,
          say({
            en: "The whole 90% confidence interval ({ci90}) lies below −{margin}: under these settings keeping the images apart cost more than the margin that was set for this study.",
            ja: "90%信頼区間（{ci90}）全体が−{margin}を下回った。本試験の条件では、画像を集約しないことによる性能低下が、設定したマージンを超えた。",
          }),
        ),
      };
    case "inconclusive":
      return {
        question,
        kind: "open",
        verdict: say({
          en: "Undecided: these data do not show whether any loss of AUC is within {margin}",
          ja: "結論は得られなかった（AUCの低下が {margin} 以内か判定できない）",
        }),
        explanation: sentences(
          figures,
          say({
            en: "The 90% confidence interval ({ci90}) reaches below −{margin}, so a loss larger than the margin is neither shown nor ruled out.",
            ja: "90%信頼区間（{ci90}）の下限が−{margin}を下回るため、マージンを超える性能低下は証明も否定もされない。",
          }),
          side === "below"
            ? {
                en: "That the federated model was worse is statistically significant (the 95% interval excludes zero); how much worse is open.",
                ja: "95%信頼区間は0を含まず、連合学習の方が有意に低かったが、その程度は確定できない。",
              }
            : {
                en: "That no significant difference was found does not mean that there is none. More test images or more repeats would narrow the interval.",
                ja: "有意差が認められなかったことは、差がないことを意味しない。テスト画像数または反復数を増やせば区間は狭くなる。",
              },
        ),
      };
    default:
      // A verdict from a newer program: its numbers are shown, and no words are put in its mouth.
      return {
        question,
        kind: "open",
        verdict: { en: "See the numbers", ja: "数値を参照" },
        explanation: figures,
      };
  }
}

// "Single sites ranged from 0.71 to 0.83", over every repeat and fold; null with fewer than two models.
function siteRange(data: ReportData): Text | null {
  const values = data.cells
    .flatMap((cell) => cell.auc)
    .filter((m) => m.arm === "alone" && isNumber(m.value))
    .map((m) => m.value as number);
  if (values.length < 2) return null;
  return fill(
    {
      en: "The models of single sites ranged from {low} to {high}.",
      ja: "単独学習モデルのAUCは施設・反復により{low}から{high}であった。",
    },
    { low: fixed(Math.min(...values), 3), high: fixed(Math.max(...values), 3) },
  );
}

export function gainConclusion(data: ReportData): Conclusion {
  const question = kQuestionGain;
  const gap = missing(data, "federated", "alone");
  const comparison = find(data, "federated", "alone");
  if (gap || !comparison) {
    return { question, kind: "missing", ...(gap as { verdict: Text; explanation: Text }) };
  }
  const figures = numbers(data, comparison);
  const d = comparison.difference;
  const values = {
    size: fixed(Math.abs(d.value ?? 0), 3),
    low: signed(d.low, 3),
    high: signed(d.high, 3),
    p: isNumber(comparison.p_value)
      ? { en: ` (${pValue(comparison.p_value)})`, ja: `（${pValue(comparison.p_value)}）` }
      : "",
  };
  const say = (text: Text) => fill(text, values);
  switch (excludesZero(d)) {
    case "above":
      return {
        question,
        kind: "shown",
        verdict: say({
          en: "A higher AUC: on average {size} above a site that trains alone",
          ja: "AUCの向上（単独学習に比べ平均 {size}）",
        }),
        explanation: sentences(
          figures,
          say({
            en: "The gain is statistically significant{p}.",
            ja: "この向上は統計学的に有意であった{p}。",
          }),
          siteRange(data),
          {
            en: "The gain is an average: a site with many images of its own may gain less, one with few may gain more (see Sites).",
            ja: "上記の差は平均であり、自施設の画像が多い施設では向上が小さく、少ない施設では大きいことがある（「施設別の結果」を参照）。",
          },
        ),
      };
    case "below":
      return {
        question,
        kind: "against",
        verdict: say({
          en: "No gain here: on average {size} below a site that trains alone",
          ja: "向上は認められず、単独学習より平均 {size} 低かった",
        }),
        explanation: sentences(
          figures,
          say({
            en: "The loss is statistically significant{p}.",
            ja: "この低下は統計学的に有意であった{p}。",
          }),
          siteRange(data),
        ),
      };
    default:
      return {
        question,
        kind: "open",
        verdict: { en: "A gain from joining was not shown", ja: "参加による向上は示されなかった" },
        explanation: sentences(
          figures,
          isNumber(d.low) && isNumber(d.high)
            ? say({
                en: "The interval includes zero: anything from {low} to {high} is compatible with these data, so a gain is neither shown nor ruled out.",
                ja: "信頼区間は0を含む。データと矛盾しない差は{low}から{high}であり、向上は証明も否定もされない。",
              })
            : {
                en: "Without an interval nothing can be said about chance.",
                ja: "信頼区間がないため、偶然の影響を評価できない。",
              },
          siteRange(data),
        ),
      };
  }
}

// How far the results reach: what a careful reader asks next.
export function scope(data: ReportData): Text[] {
  const said: Text[] = [];
  const { repeats, folds } = data.protocol;
  const planned = Math.max(1, repeats) * Math.max(1, folds);
  const done = data.cells.filter((cell) => cell.auc.some((m) => isNumber(m.value))).length;
  if (done > 0 && done < planned) {
    said.push(
      fill(
        {
          en: "Results so far: {done} of {planned} planned experiments (repeats and folds). The estimates rest on these alone.",
          ja: "計画した{planned}回の実験（反復・分割）のうち、結果が得られたのは{done}回である。推定値はそれに基づく。",
        },
        { planned, done },
      ),
    );
  }
  if (done === 1) {
    said.push({
      en: "Each arm was trained once, on one split. The intervals cover the chance in which test images were drawn, not the chance in training: another seed may shift the results.",
      ja: "各群の訓練は1回、データ分割も1通りである。信頼区間はテスト画像の抽出による偶然のみを反映し、訓練による変動を含まない。乱数シードが異なれば結果も変わりうる。",
    });
  } else if (done >= planned) {
    said.push(
      fill(
        {
          en: "The study was done {cells} times in all{how}; the estimates are over all of them.",
          ja: "実験は計{cells}回実施した{how}。推定値はその全体に基づく。",
        },
        {
          cells: planned,
          how:
            folds > 1
              ? fill(
                  { en: " ({repeats} × {folds}-fold cross-validation)", ja: "（{folds}分割交差検証 × {repeats}反復）" },
                  { repeats: Math.max(1, repeats), folds },
                )
              : fill({ en: " ({repeats} repeats with other seeds)", ja: "（乱数シードを変えた{repeats}反復）" }, { repeats }),
        },
      ),
    );
  }
  const stopped = data.arms.reduce((n, a) => n + a.stopped.length, 0);
  if (stopped > 0) {
    said.push(
      fill(
        {
          en: "Training was stopped before its end for {stopped} of {models} models (see Warnings), so a difference between arms may come from that and not from the way of training.",
          ja: "{models}モデル中{stopped}モデルで訓練が中断された（「注意事項」を参照）。群間の差は、訓練方法ではなく中断に起因する可能性がある。",
        },
        { stopped, models: Math.max(stopped, data.arms.reduce((n, a) => n + a.by_round.length, 0)) },
      ),
    );
  }
  if (!data.data.test_given) {
    said.push({
      en: "The test images come from the same source as the training images. Performance at another hospital, with another camera or population, was not measured.",
      ja: "テスト画像は訓練画像と同じ出所のものである。他施設、他の撮影装置、他の集団における性能は評価していない。",
    });
  }
  said.push({
    en: "The sites were simulated: all arms ran in one study under the same control. Problems of real networks and of differing equipment are not part of the comparison.",
    ja: "施設は模擬的に構成したものであり、全群を同一の管理下で実行した。実際の通信や施設間の機器の違いに伴う問題は、比較に含まれない。",
  });
  return said;
}
