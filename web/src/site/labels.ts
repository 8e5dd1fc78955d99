// Names of stages, kinds of ledger lines and receipts.
import type { Text } from "../kit/language";
import type { Tone } from "../live/parts";

export const kStages = new Map<string, Text & { tone: Tone }>([
  ["asked", { en: "asked", ja: "依頼あり", tone: "wait" }],
  ["joined", { en: "takes part", ja: "参加", tone: "good" }],
  ["refused", { en: "refused", ja: "不参加", tone: "off" }],
  ["ended", { en: "ended", ja: "終了", tone: "off" }],
]);

export const kAnswers = new Map<string, Text & { tone: Tone }>([
  ["waiting", { en: "waiting", ja: "未回答", tone: "wait" }],
  ["granted", { en: "approved", ja: "承認", tone: "good" }],
  ["refused", { en: "refused", ja: "拒否", tone: "bad" }],
]);

export const kKinds = new Map<string, Text>([
  ["offer answer", { en: "Answer to a run", ja: "参加の回答" }],
  ["evaluation", { en: "Test results", ja: "テスト結果" }],
  ["update", { en: "Update", ja: "モデルの更新" }],
  ["failure", { en: "Failure notice", ja: "失敗の通知" }],
  ["end answer", { en: "End confirmed", ja: "終了の確認" }],
  ["receipt", { en: "Receipt", ja: "受領証" }],
]);

export const kReceipts = new Map<string, Text & { tone: Tone }>([
  ["kept", { en: "kept", ja: "受領", tone: "good" }],
  ["late", { en: "late", ja: "遅延", tone: "wait" }],
  ["refused", { en: "refused", ja: "拒否", tone: "bad" }],
]);
