// Names, in both languages, of the identifiers in the data: arms, measures, rows of the protocol. An identifier that is
// not known here is shown as it is. Looked up in maps: a key named "constructor" is a key like any other.
import { list, visible } from "../kit/format";
import type { Text } from "../kit/language";
import { texts } from "./texts";

const kArms = new Map<string, Text>([
  ["pooled", texts.arm_pooled],
  ["federated", texts.arm_federated],
  ["alone", texts.arm_alone],
]);

export const kMetrics = new Map<string, Text>([
  ["auc", texts.auc],
  ["macro_auc", { en: "Macro-averaged AUC", ja: "マクロ平均AUC" }],
  ["sensitivity", { en: "Sensitivity", ja: "感度" }],
  ["specificity", { en: "Specificity", ja: "特異度" }],
  ["accuracy", texts.accuracy],
  ["balanced_accuracy", { en: "Balanced accuracy", ja: "バランス正診率" }],
  ["ppv", { en: "Positive predictive value", ja: "陽性的中率" }],
  ["npv", { en: "Negative predictive value", ja: "陰性的中率" }],
  ["f1", { en: "F1 score", ja: "F1値" }],
  ["brier", { en: "Brier score (lower is better)", ja: "Brierスコア（低いほど良い）" }],
  ["quadratic_kappa", { en: "Kappa, quadratic weights", ja: "κ係数（2乗重み）" }],
]);

// Rates read as percentages; the others are numbers without a unit.
const kRates = new Set(["sensitivity", "specificity", "accuracy", "balanced_accuracy", "ppv", "npv"]);

export const kProtocol = new Map<string, Text>([
  ["path", { en: "Images", ja: "画像" }],
  ["test", { en: "Test images given apart", ja: "別に与えたテスト画像" }],
  ["file_column", { en: "Column with the image file", ja: "画像ファイルの列" }],
  ["label_column", { en: "Column with the class", ja: "クラスの列" }],
  ["group_column", { en: "Column with the patient", ja: "患者の列" }],
  ["site_column", { en: "Column with the site", ja: "施設の列" }],
  ["split_column", { en: "Column with the split", ja: "データ区分の列" }],
  ["positive", { en: "Positive class", ja: "陽性クラス" }],
  ["image_size", { en: "Image size (pixels)", ja: "画像サイズ（ピクセル）" }],
  ["crop", { en: "Cropping of the black border", ja: "黒い縁の切り取り" }],
  ["max_bad", { en: "Largest share of unreadable files", ja: "読込不能ファイルの許容割合" }],
  ["cache", { en: "Folder of decoded images", ja: "復号済み画像のフォルダー" }],
  ["train_per_class", { en: "Training images of each class", ja: "クラスごとの訓練画像数" }],
  ["test_per_class", { en: "Test images of each class", ja: "クラスごとのテスト画像数" }],
  ["test_share", { en: "Share of images for testing", ja: "テスト用画像の割合" }],
  ["validation_share", { en: "Share of training images for validation", ja: "訓練画像中の検証用の割合" }],
  ["fixed", { en: "Same split in every repeat", ja: "全反復で同一の分割" }],
  ["sites", { en: "Sites", ja: "施設数" }],
  ["scheme", { en: "How images were divided among the sites", ja: "施設への画像の割り当て方法" }],
  ["alpha", { en: "Dirichlet concentration", ja: "ディリクレ分布の集中度" }],
  ["proportions", { en: "Share of each site", ja: "各施設の割合" }],
  ["architecture", { en: "Network", ja: "ネットワーク" }],
  ["parameters", { en: "Trained parameters", ja: "パラメータ数" }],
  ["init", { en: "Initial parameters", ja: "初期パラメータ" }],
  ["dropout", { en: "Dropout", ja: "ドロップアウト" }],
  ["optimiser", { en: "Optimiser", ja: "最適化手法" }],
  ["learning_rate", { en: "Learning rate", ja: "学習率" }],
  ["momentum", { en: "Momentum", ja: "モーメンタム" }],
  ["nesterov", { en: "Nesterov’s momentum", ja: "ネステロフ加速" }],
  ["weight_decay", { en: "Weight decay", ja: "荷重減衰" }],
  ["batch", { en: "Batch size", ja: "バッチサイズ" }],
  ["local_epochs", { en: "Local epochs in a round", ja: "1ラウンドのローカルエポック数" }],
  ["local_steps", { en: "Local steps in a round", ja: "1ラウンドのローカルステップ数" }],
  ["schedule", { en: "Learning rate schedule", ja: "学習率スケジュール" }],
  ["warmup_share", { en: "Share of steps to warm up", ja: "ウォームアップの割合" }],
  ["step_rounds", { en: "Rounds between steps of the schedule", ja: "学習率を下げるラウンド間隔" }],
  ["step_factor", { en: "Factor of a step of the schedule", ja: "学習率を下げる係数" }],
  ["class_balanced", { en: "Loss weighted by class frequency", ja: "クラス頻度による損失の重み付け" }],
  ["precision", { en: "Precision", ja: "数値精度" }],
  ["device", { en: "Device", ja: "演算装置" }],
  ["channels_last", { en: "Channels-last memory layout", ja: "チャネル末尾のメモリ配置" }],
  ["augment", { en: "Augmentation", ja: "データ拡張" }],
  ["augmentation", { en: "Augmentation", ja: "データ拡張" }],
  ["flip_horizontal", { en: "Augmentation: mirrored", ja: "データ拡張：左右反転" }],
  ["flip_vertical", { en: "Augmentation: upside down", ja: "データ拡張：上下反転" }],
  ["rotate_degrees", { en: "Augmentation: rotation (± degrees)", ja: "データ拡張：回転（±度）" }],
  ["scale", { en: "Augmentation: scale (1 ±)", ja: "データ拡張：拡大縮小（1±）" }],
  ["brightness", { en: "Augmentation: brightness (±)", ja: "データ拡張：明るさ（±）" }],
  ["contrast", { en: "Augmentation: contrast (1 ±)", ja: "データ拡張：コントラスト（1±）" }],
  ["freeze", { en: "Frozen layers", ja: "固定する層" }],
  ["feature_variants", { en: "Augmented variants of an image with frozen layers", ja: "層を固定するときの画像ごとの拡張数" }],
  ["rounds", { en: "Rounds", ja: "ラウンド数" }],
  ["strategy", { en: "Aggregation strategy", ja: "集約方式" }],
  ["weighting", { en: "Weight of a site", ja: "施設の重み" }],
  ["site_batch", { en: "Batch at a site", ja: "施設でのバッチ" }],
  ["keep_optimiser", { en: "Optimiser state kept between rounds", ja: "ラウンド間での最適化状態の保持" }],
  ["select", { en: "Model that was kept", ja: "採用するモデル" }],
  ["patience", { en: "Rounds without gain before stopping", ja: "早期終了までのラウンド数" }],
  ["arms", { en: "Arms", ja: "比較した群" }],
  ["repeats", { en: "Repeats", ja: "反復数" }],
  ["folds", { en: "Folds", ja: "交差検証の分割数" }],
  ["margin", { en: "Equivalence margin (AUC)", ja: "同等性マージン（AUC）" }],
  ["seed", { en: "Seed", ja: "乱数シード" }],
  ["name", { en: "Name", ja: "名称" }],
  ["classes", { en: "Classes", ja: "クラス" }],
  ["epochs", { en: "Passes over all images", ja: "全画像の提示回数（エポック）" }],
  ["engine", { en: "Training engine", ja: "訓練エンジン" }],
  ["quorum", { en: "Answers that complete a round (0: all)", ja: "ラウンド成立に必要な回答数（0：全施設）" }],
  ["cohort_share", { en: "Share of sites asked in a round", ja: "ラウンドごとに依頼する施設の割合" }],
  ["deadline_minutes", { en: "Deadline of a round (minutes; 0: none)", ja: "ラウンドの期限（分、0：なし）" }],
  ["extension_minutes", { en: "Extension of the deadline (minutes)", ja: "期限の延長（分）" }],
  ["late", { en: "Late updates", ja: "遅延した更新の扱い" }],
  ["encoding", { en: "Numbers on the way", ja: "送信時の数値形式" }],
  ["max_norm_ratio", { en: "Largest change, in medians of the round", ja: "変化の上限（ラウンド中央値に対する倍率）" }],
  ["report", { en: "What sites send of a test", ja: "テストについて送信する情報" }],
  ["bins", { en: "Bins of a histogram", ja: "ヒストグラムの区間数" }],
  ["test_every", { en: "Rounds between tests (0: about an epoch)", ja: "テストの間隔（ラウンド、0：約1エポック）" }],
  ["cross_site", { en: "Sites’ own models tested at the others", ja: "施設モデルの相互評価" }],
  ["min_images_per_class", { en: "Training images of each class that a site needs", ja: "参加に必要なクラスごとの訓練画像数" }],
  ["thumbnails", { en: "Thumbnails of mistakes", ja: "誤分類の縮小画像" }],
]);

function asIs(text: string): Text {
  return { en: visible(text), ja: visible(text) };
}

// Arms within a sentence: “pooled” and “alone” / 「統合学習」および「単独学習」.
export function quotedArms(arms: string[]): Text {
  const names = arms.map(armName);
  return {
    en: list(names.map((n) => `“${n.en.toLowerCase()}”`)).en,
    ja: names.map((n) => `「${n.ja}」`).join("および"),
  };
}

export function armName(arm: string): Text {
  return kArms.get(arm) ?? asIs(arm);
}

export function metricName(key: string): Text {
  if (key.startsWith("recall:")) {
    const name = visible(key.slice("recall:".length));
    return { en: `Recall: ${name}`, ja: `再現率：${name}` };
  }
  return kMetrics.get(key) ?? asIs(key);
}

export function isRate(key: string): boolean {
  return kRates.has(key) || key.startsWith("recall:");
}

// The key of a row may carry its table ("train.batch").
export function protocolName(key: string): Text {
  return kProtocol.get(key) ?? kProtocol.get(key.slice(key.lastIndexOf(".") + 1)) ?? asIs(key);
}
