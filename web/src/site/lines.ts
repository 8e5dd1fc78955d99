// What a question tells, in Japanese: the agent writes its lines in English (src/site/agent.cc and leaves.cc). What is not
// known here is shown as the program wrote it.
import { visible } from "../kit/format";
import type { Text } from "../kit/language";

const kWords = new Map<string, string>([
  ["yes", "あり"],
  ["no", "なし"],
]);

// Each line's form, with what it becomes: $1 and so on are the parts in brackets.
const kForms: [RegExp, string][] = [
  [/^(.+): (\d+) to train, (\d+) to validate, (\d+) to test$/, "$1：訓練用$2枚、検証用$3枚、テスト用$4枚"],
  [/^network: (.+), on images of (\d+) x (\d+) pixels$/, "ネットワーク：$1（画像 $2×$3 ピクセル）"],
  [/^network: (.+)$/, "ネットワーク：$1"],
  [/^rounds: as many as make (\d+) passes over all images$/, "ラウンド数：全画像を$1回提示する分"],
  [/^rounds: (\d+)$/, "ラウンド数：$1"],
  [/^round (\d+) of (\d+)$/, "ラウンド $1（全$2ラウンド）"],
  [/^each round: (\d+) steps?$/, "1ラウンド：$1ステップ"],
  [/^each round: (\d+) pass(?:es)? over this site's images$/, "1ラウンド：自施設の全画像を$1回提示"],
  [/^batch: (\d+) images, divided among the sites$/, "バッチ：$1画像（全施設で分割）"],
  [/^batch: (\d+) images, at each site$/, "バッチ：各施設$1画像"],
  [/^learning rate: the usual one, schedule (.+)$/, "学習率：標準値（スケジュール $1）"],
  [/^learning rate: (.+), schedule (.+)$/, "学習率：$1（スケジュール $2）"],
  [/^optimiser: (.+), weight decay (.+)$/, "最適化手法：$1（荷重減衰 $2）"],
  [/^augmentation: (yes|no)$/, "データ拡張：$1"],
  [/^frozen: until (.+)$/, "固定する層：$1 の手前まで"],
  [
    /^after each round: what training changed in the model's parameters \((\w+)\), how many images they come from, the norm of the change, and the training loss$/,
    "各ラウンド後：訓練によるモデルパラメータの変化（$1）、その画像数、変化のノルム、訓練損失",
  ],
  [
    /^once: how many images of each class there are to train, validate and test; 1 to (\d+) are told as (\d+)$/,
    "1回のみ：訓練用・検証用・テスト用のクラス別画像数（1〜$1枚は$2枚として送信）",
  ],
  [/^once: how many images of each class there are to train, validate and test$/, "1回のみ：訓練用・検証用・テスト用のクラス別画像数"],
  [/^of each test: loss, accuracy and AUC$/, "各テスト：損失、正診率、AUC"],
  [/^of each test: loss, accuracy, AUC, and histograms of scores with (\d+) bins$/, "各テスト：損失、正診率、AUC、スコアのヒストグラム（$1区間）"],
  [
    /^of each test: loss, accuracy, AUC, and the class and scores of every image, without names and in an order that says nothing$/,
    "各テスト：損失、正診率、AUC、および画像ごとのクラスとスコア（名称を付けず、意味のない順序）",
  ],
  [/^at the end: this site's own last model, which the other sites test$/, "終了時：この施設の最終モデル（他施設がテストする）"],
  [/^while it works: what the agent is doing, at which step and how fast$/, "動作中：作業内容、ステップ、速度"],
  [/^if something fails: one line of text without names of files$/, "失敗時：ファイル名を含まない1行の文"],
];

export function lineText(line: string): Text {
  const en = visible(line);
  for (const [form, ja] of kForms) {
    const parts = form.exec(en);
    if (!parts) continue;
    // Filled in once: a class may be called "$1".
    return { en, ja: ja.replace(/\$(\d)/g, (_, n: string) => kWords.get(parts[Number(n)]!) ?? parts[Number(n)]!) };
  }
  return { en, ja: en };
}
