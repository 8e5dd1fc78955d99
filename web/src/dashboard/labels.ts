// Names of states, phases and events. What is not known here is shown as the program wrote it.
import { visible } from "../kit/format";
import type { Text } from "../kit/language";
import type { Tone } from "../live/parts";

type Named = Text & { tone: Tone };

export const kRunStates = new Map<string, Named>([
  ["created", { en: "not started", ja: "未開始", tone: "off" }],
  ["gathering", { en: "gathering sites", ja: "参加確認中", tone: "wait" }],
  ["training", { en: "training", ja: "訓練中", tone: "busy" }],
  ["testing", { en: "testing", ja: "テスト中", tone: "busy" }],
  ["paused", { en: "paused", ja: "一時停止", tone: "wait" }],
  ["finished", { en: "finished", ja: "終了", tone: "good" }],
  ["cancelled", { en: "cancelled", ja: "中止", tone: "off" }],
  ["failed", { en: "failed", ja: "失敗", tone: "bad" }],
]);

export const kSiteStates = new Map<string, Named>([
  ["online", { en: "online", ja: "接続中", tone: "good" }],
  ["offline", { en: "offline", ja: "未接続", tone: "bad" }],
  ["invited", { en: "invited", ja: "招待済み", tone: "wait" }],
  ["revoked", { en: "revoked", ja: "失効", tone: "off" }],
  ["left", { en: "has left", ja: "脱退", tone: "off" }],
]);

export const kInvitationStates = new Map<string, Named>([
  ["open", { en: "not used yet", ja: "未使用", tone: "wait" }],
  ["used", { en: "used", ja: "使用済み", tone: "good" }],
  ["withdrawn", { en: "withdrawn", ja: "取消", tone: "off" }],
  ["expired", { en: "expired", ja: "期限切れ", tone: "off" }],
]);

export const kRunSiteStates = new Map<string, Named>([
  ["asked", { en: "asked", ja: "問い合わせ中", tone: "wait" }],
  ["waiting", { en: "waits for a person there", ja: "施設で承認待ち", tone: "wait" }],
  ["ready", { en: "takes part", ja: "参加", tone: "good" }],
  ["refused", { en: "refused", ja: "不参加", tone: "bad" }],
  ["left", { en: "left", ja: "離脱", tone: "off" }],
  ["ended", { en: "ended", ja: "終了", tone: "good" }],
]);

export const kAskStates = new Map<string, Named>([
  ["answered", { en: "answered", ja: "回答", tone: "good" }],
  ["refused", { en: "refused", ja: "拒否", tone: "bad" }],
  ["failed", { en: "failed", ja: "失敗", tone: "bad" }],
  ["late", { en: "late", ja: "遅延", tone: "wait" }],
  ["waiting", { en: "waiting", ja: "待機", tone: "wait" }],
]);

export const kPhases = new Map<string, Text>([
  ["", { en: "nothing reported", ja: "報告なし" }],
  ["idle", { en: "idle", ja: "待機中" }],
  ["preparing", { en: "reading images", ja: "画像の読み込み" }],
  ["downloading", { en: "receiving the model", ja: "モデルの受信" }],
  ["training", { en: "training", ja: "訓練" }],
  ["testing", { en: "testing", ja: "テスト" }],
  ["uploading", { en: "sending the update", ja: "更新の送信" }],
  ["waiting for approval", { en: "waiting for approval", ja: "承認待ち" }],
]);

export const kEvents = new Map<string, Text>([
  ["run_created", { en: "Run created", ja: "実行を作成" }],
  ["run_start_asked", { en: "Start of the run asked for", ja: "実行の開始を指示" }],
  ["run_cancel_asked", { en: "Cancelling of the run asked for", ja: "実行の中止を指示" }],
  ["run_started", { en: "Run started", ja: "実行を開始" }],
  ["run_paused", { en: "Run paused", ja: "実行を一時停止" }],
  ["run_resumed", { en: "Run resumed", ja: "実行を再開" }],
  ["run_cancelled", { en: "Run cancelled", ja: "実行を中止" }],
  ["run_finished", { en: "Run finished", ja: "実行が終了" }],
  ["run_failed", { en: "Run failed", ja: "実行が失敗" }],
  ["site_invited", { en: "Site invited", ja: "施設を招待" }],
  ["site_enrolled", { en: "Site enrolled", ja: "施設が登録完了" }],
  ["site_renewed", { en: "Certificate renewed", ja: "証明書を更新" }],
  ["site_revoked", { en: "Site revoked", ja: "施設を失効" }],
  ["site_left_federation", { en: "Site left the federation", ja: "施設が連合から脱退" }],
  ["site_asked", { en: "Site asked whether it takes part", ja: "参加の可否を問い合わせ" }],
  ["site_waiting", { en: "Site waits for a person there", ja: "施設で承認待ち" }],
  ["site_ready", { en: "Site takes part", ja: "施設が参加" }],
  ["site_refused", { en: "Site does not take part", ja: "施設が不参加" }],
  ["site_left", { en: "Site left the run", ja: "施設が離脱" }],
  ["site_ended", { en: "Site has the final model", ja: "施設が最終モデルを受領" }],
  ["site_failed", { en: "Site could not answer", ja: "施設が回答できず" }],
  ["training_began", { en: "Training began", ja: "訓練を開始" }],
  ["testing_began", { en: "Final tests began", ja: "最終テストを開始" }],
  ["tested", { en: "Model tested", ja: "モデルのテスト完了" }],
  ["stopped_early", { en: "Stopped early", ja: "早期終了" }],
  ["round_opened", { en: "Round opened", ja: "ラウンドを開始" }],
  ["round_closed", { en: "Round closed", ja: "ラウンドを完了" }],
  ["round_extended", { en: "Deadline extended", ja: "期限を延長" }],
  ["round_tested", { en: "Round’s model tested", ja: "ラウンドのモデルのテスト完了" }],
  ["update_kept", { en: "Update received and kept", ja: "更新を受領・保存" }],
  ["update_late", { en: "Update came late", ja: "更新が期限後に到着" }],
  ["update_refused", { en: "Update refused", ja: "更新を拒否" }],
  ["update_refused_by_site", { en: "Site refused the round", ja: "施設がラウンドを拒否" }],
  ["spool_damaged", { en: "A kept update was damaged", ja: "保存した更新が破損" }],
]);

export function named(names: Map<string, Named>, state: string): Named {
  const text = visible(state);
  return names.get(state) ?? { en: text, ja: text, tone: "off" };
}

export function textOf(names: Map<string, Text>, key: string): Text {
  const text = visible(key);
  return names.get(key) ?? { en: text, ja: text };
}
