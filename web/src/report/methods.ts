// The statistical methods that the data names, a sentence each with its source.
import { isNumber, visible } from "../kit/format";
import type { Text } from "../kit/language";
import type { ReportData } from "./data";
import { metricName } from "./labels";
import { texts } from "./texts";

export interface Method {
  what: Text;
  reference: string;
}

const kDeLong =
  "DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837–845; Sun X, Xu W. IEEE Signal Process Lett 2014;21:1389–1393.";
const kLogit =
  "Pepe MS. The Statistical Evaluation of Medical Tests for Classification and Prediction. Oxford University Press, 2003.";
const kObuchowski = "Obuchowski NA. Biometrics 1997;53:567–578.";

export const kMethods = new Map<string, Method>([
  [
    "delong",
    {
      what: {
        en: "DeLong’s method: the variance of the AUC from the ranks of the test images, without assuming a distribution; the interval is made on the logit scale, so that it stays between 0 and 1.",
        ja: "DeLong法。分布を仮定せず、テスト画像の順位からAUCの分散を推定する。区間はロジット尺度で求め、0〜1の範囲に収まる。",
      },
      reference: `${kDeLong} ${kLogit}`,
    },
  ],
  [
    "delong_binned",
    {
      what: {
        en: "DeLong’s method on histograms of scores: images of one bin have the same rank, and two of them, one of each class, count as one half. The interval is made on the logit scale.",
        ja: "スコアのヒストグラムに対するDeLong法。同じ区間の画像は同順位とし、異なるクラスの2画像は2分の1と数える。区間はロジット尺度で求める。",
      },
      reference: `${kDeLong} ${kLogit}`,
    },
  ],
  [
    "mover_sites",
    {
      what: {
        en: "Interval of the mean of the sites’ AUCs, weighted by images, put together from the sites’ own intervals (Newcombe’s, from each site’s AUC and its counts of test images), which are independent.",
        ja: "各施設のAUCの画像数による加重平均に対する信頼区間。互いに独立な各施設の信頼区間（施設のAUCとテスト画像数によるNewcombeの区間）から合成する。",
      },
      reference: "Zou GY, Donner A. Stat Med 2008;27:1693–1702; Newcombe RG. Stat Med 2006;25:559–573.",
    },
  ],
  [
    "delong_clustered",
    {
      what: {
        en: "DeLong’s method extended by Obuchowski to several images of one patient, which are not independent.",
        ja: "同一患者の複数画像の非独立性を考慮した、ObuchowskiによるDeLong法の拡張。",
      },
      reference: kObuchowski,
    },
  ],
  [
    "delong_paired",
    {
      what: {
        en: "DeLong’s test for the difference of two AUCs that were measured on the same images.",
        ja: "同一画像で測定した2つのAUCの差に対するDeLong検定。",
      },
      reference: kDeLong,
    },
  ],
  [
    "delong_paired_clustered",
    {
      what: {
        en: "Test for the difference of two AUCs on the same images, with the images of one patient taken as dependent.",
        ja: "同一画像で測定した2つのAUCの差の検定。同一患者の画像間の相関を考慮する。",
      },
      reference: kObuchowski,
    },
  ],
  [
    "wilson",
    {
      what: {
        en: "Wilson’s score interval for a proportion; it holds for small counts and near 0% and 100%.",
        ja: "割合に対するWilsonのスコア信頼区間。少数例や0%・100%付近でも妥当である。",
      },
      reference: "Wilson EB. J Am Stat Assoc 1927;22:209–212.",
    },
  ],
  [
    "wilson_clustered",
    {
      what: {
        en: "Wilson’s score interval with the number of images reduced to its effective size, because images of one patient are not independent.",
        ja: "Wilsonのスコア信頼区間。同一患者の画像間の相関を考慮し、画像数を有効標本数に補正する。",
      },
      reference: "Wilson EB. J Am Stat Assoc 1927;22:209–212; Rao JNK, Scott AJ. Biometrics 1992;48:577–585.",
    },
  ],
  [
    "bootstrap",
    {
      what: {
        en: "Bootstrap: patients (images, where no patients are known) are drawn again with replacement many times; the interval holds the middle 95% of the results.",
        ja: "ブートストラップ法。患者（不明な場合は画像）を復元抽出して再計算を繰り返し、結果の中央95%を区間とする。",
      },
      reference: "Efron B, Tibshirani RJ. An Introduction to the Bootstrap. Chapman & Hall, 1993.",
    },
  ],
  [
    "bootstrap_paired",
    {
      what: {
        en: "Paired bootstrap: the same patients are drawn again for both arms, many times; the interval and the p value come from the differences.",
        ja: "対応のあるブートストラップ法。両群に共通の患者を復元抽出して差の再計算を繰り返し、信頼区間とp値を求める。",
      },
      reference: "Efron B, Tibshirani RJ. An Introduction to the Bootstrap. Chapman & Hall, 1993.",
    },
  ],
  [
    "newcombe",
    {
      what: {
        en: "Newcombe’s interval, from the AUC and the numbers of images alone: where the AUC is exactly 0 or 1, has no measurable variance, or nothing else is known.",
        ja: "Newcombeの信頼区間。AUCと画像数のみから求める。AUCが0または1の場合、分散を推定できない場合、または他の情報がない場合に用いる。",
      },
      reference: "Newcombe RG. Stat Med 2006;25:559–573.",
    },
  ],
  [
    "mover",
    {
      what: {
        en: "Interval of a difference put together from the intervals of the two arms, where the difference itself has no measurable variance. The arms are taken as independent, so it is rather too wide than too narrow, and there is no p value.",
        ja: "差の分散を直接推定できない場合に、両群の信頼区間から合成した区間。両群を独立とみなすため保守的（広め）であり、p値は得られない。",
      },
      reference: "Zou GY, Donner A. Stat Med 2008;27:1693–1702.",
    },
  ],
  [
    "bootstrap_clustered",
    {
      what: {
        en: "Bootstrap over patients: all images of a patient are drawn together, with replacement, many times.",
        ja: "患者単位のブートストラップ法。同一患者の画像をまとめて復元抽出し、再計算を繰り返す。",
      },
      reference: "Efron B, Tibshirani RJ. An Introduction to the Bootstrap. Chapman & Hall, 1993.",
    },
  ],
  [
    "t_over_repeats",
    {
      what: {
        en: "Student’s t interval over the results of the repeats; it covers the chance of training and of the split.",
        ja: "各反復の結果に対するStudentのt分布による信頼区間。訓練と分割による変動を反映する。",
      },
      reference: "Student. Biometrika 1908;6:1–25.",
    },
  ],
  [
    "corrected_t",
    {
      what: {
        en: "Corrected resampled t test: the variance is enlarged because repeats and folds share training images.",
        ja: "補正リサンプリングt検定。反復・分割間で訓練画像が重複することを考慮し、分散を補正する。",
      },
      reference: "Nadeau C, Bengio Y. Mach Learn 2003;52:239–281.",
    },
  ],
  [
    "obuchowski_rockette",
    {
      what: {
        en: "Obuchowski and Rockette’s analysis with the repeats as readers: it covers the chance in training as well as in the test images.",
        ja: "反復を読影者とみなしたObuchowski–Rockette法。訓練とテスト画像の双方による変動を考慮する。",
      },
      reference:
        "Obuchowski NA, Rockette HE. Commun Stat Simul Comput 1995;24:285–308; Hillis SL. Stat Med 2007;26:596–619.",
    },
  ],
  [
    "tost",
    {
      what: {
        en: "Two one-sided tests at 5% each: equivalence is shown when the whole 90% interval of the difference lies inside the margin, non-inferiority when its lower end does.",
        ja: "2つの片側検定（各5%）。差の90%信頼区間全体がマージン内にあれば同等性、下限がマージンを上回れば非劣性が示されたとする。",
      },
      reference: "Schuirmann DJ. J Pharmacokinet Biopharm 1987;15:657–680.",
    },
  ],
]);

export interface UsedMethod {
  id: string;
  method: Method | undefined;
  used: Text[];
}

// The methods in this report, in the order of their first use, with what each was used for.
export function usedMethods(data: ReportData): UsedMethod[] {
  const used = new Map<string, Text[]>();
  const add = (id: string, what: Text) => {
    if (!id) return;
    const list = used.get(id) ?? [];
    if (!list.some((t) => t.en === what.en)) list.push(what);
    used.set(id, list);
  };
  for (const arm of data.arms) {
    add(arm.auc.method, texts.methods_arm_auc);
    for (const m of arm.metrics) add(m.estimate.method, metricName(m.key));
    for (const s of arm.by_site) {
      add(s.auc.method, texts.methods_by_site);
      add(s.accuracy.method, texts.methods_by_site);
    }
    if (arm.calibration.length > 0) add("wilson", texts.methods_calibration);
  }
  for (const c of data.comparisons) {
    if (!isNumber(c.difference.value)) continue;
    add(c.test, texts.methods_differences);
    add(c.difference.method, texts.methods_differences);
    if (c.equivalence) add("tost", texts.methods_equivalence);
  }
  return [...used].map(([id, what]) => ({ id: visible(id), method: kMethods.get(id), used: what }));
}
