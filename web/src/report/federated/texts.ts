// Every sentence of a run's report that a study's report does not have, in both languages.
export const federatedTexts = {
  kind: { en: "Federated training", ja: "連合学習" },
  title: { en: "Federated training: {name}", ja: "連合学習：{name}" },
  what: {
    en: "{sites} hospitals of the federation “{federation}” trained one model together in {rounds} rounds. No image left any of them: this page is made at the central hospital from what the sites agreed to send.",
    ja: "連合「{federation}」の{sites}施設が{rounds}ラウンドで1つのモデルを共同で訓練した。画像はどの施設からも送信されていない。本報告書は、各施設が送信に同意した情報から中央病院で作成した。",
  },
  what_classes: {
    en: "The classes are {names}.",
    ja: "クラスは{names}である。",
  },
  what_positive: { en: "The positive class is {positive}.", ja: "陽性クラスは「{positive}」である。" },

  section_model: { en: "The run", ja: "実行の概要" },
  section_cross: { en: "Every site’s own model at the other sites", ja: "施設モデルの相互評価" },
  section_rounds: { en: "Rounds", ja: "ラウンド" },

  question: { en: "How well does the model tell the classes apart?", ja: "モデルの判別性能はどの程度か" },
  verdict: { en: "{metric} {auc}", ja: "{metric} {auc}" },
  verdict_explained: {
    en: "The model behind round {round} was tested on {images} test images of {sites} sites, each within its own walls. {interval}",
    ja: "ラウンド {round} 後のモデルを、{sites}施設の計{images}枚のテスト画像により、各施設内で評価した。{interval}",
  },
  interval_explained: {
    en: "In brackets: the 95% confidence interval. 1.0 would be a perfect separation of the classes, 0.5 no better than chance.",
    ja: "括弧内は95%信頼区間。1.0は完全な判別、0.5は偶然と同等を意味する。",
  },
  no_interval_explained: {
    en: "From what was sent no confidence interval can be computed. 1.0 would be a perfect separation of the classes, 0.5 no better than chance.",
    ja: "送信された情報からは信頼区間を算出できない。1.0は完全な判別、0.5は偶然と同等を意味する。",
  },
  above_chance: { en: "It is better than chance.", ja: "偶然を上回る。" },
  at_chance: {
    en: "It is not shown to be better than chance: the model may have learnt nothing.",
    ja: "偶然を上回ることは示されていない。何も学習していない可能性がある。",
  },
  verdict_none: { en: "Not answered yet", ja: "未判定" },
  verdict_none_explained: {
    en: "No site has sent a test of a model that this run keeps.",
    ja: "この実行で採用されたモデルのテスト結果を送信した施設がない。",
  },
  verdict_undefined_explained: {
    en: "The AUC is not defined for what the sites sent, for instance because their test images are of one class only.",
    ja: "テスト画像が1クラスのみであるなどの理由で、送信された情報からAUCを定義できない。",
  },
  from_scores: {
    en: "The sites agreed to send the scores of their test images, without names and in an order that says nothing. The numbers are those of all images together.",
    ja: "各施設は、テスト画像のスコアを、名称を付けず意味のない順序で送信することに同意した。数値は全画像をまとめたものである。",
  },
  from_histograms: {
    en: "Scores of single images were not sent. AUC, sensitivity, specificity and calibration are computed from histograms: counts of test images in {bins} equal bins of the score, summed over the sites. Two images of one bin count as a tie (for the AUC one half), which can change the AUC in the third decimal or so.",
    ja: "個々の画像のスコアは送信されていない。AUC、感度、特異度および較正は、スコアを{bins}等分した区間ごとのテスト画像数（ヒストグラム）を全施設で合計して算出した。同じ区間の2画像は同順位（AUCでは2分の1）として扱うため、AUCは小数第3位程度変わりうる。",
  },
  from_metrics: {
    en: "Neither scores nor histograms of all sites were sent. The AUC is the mean of the sites’ own AUCs, weighted by their test images.",
    ja: "全施設のスコアもヒストグラムも送信されていない。AUCは各施設のAUCをテスト画像数で加重平均した値である。",
  },
  scope_patients: {
    en: "The server does not know which images are of one patient, so each counts on its own. Where patients have several test images, the true intervals are wider than those shown.",
    ja: "サーバーは同一患者の画像を識別できないため、各画像を独立とみなした。1人の患者に複数のテスト画像がある場合、実際の信頼区間は表示より広い。",
  },
  scope_counts: {
    en: "Sites may round small counts up before they send them.",
    ja: "各施設は少数の画像数を切り上げて送信することがある。",
  },
  scope_compare: {
    en: "This page compares the model with nothing: whether federated training is as good as pooled training, and better than a site alone, is what a study tells (manako study).",
    ja: "本報告書は他の訓練方法との比較を含まない。連合学習が統合学習と同等か、単独学習を上回るかは、検証試験（manako study）で評価する。",
  },
  scope_chosen: {
    en: "Round {round} was chosen by the sites’ validation images; the test images had no part in it.",
    ja: "ラウンド {round} は各施設の検証用画像により選択した。テスト画像は選択に用いていない。",
  },
  scope_last: { en: "Round {round} is the last one; no choice was made.", ja: "ラウンド {round} は最終ラウンドであり、選択は行っていない。" },

  facts_caption: { en: "What was trained.", ja: "訓練の概要。" },
  run: { en: "Run", ja: "実行" },
  federation: { en: "Federation", ja: "連合" },
  state: { en: "State", ja: "状態" },
  started: { en: "Started", ja: "開始" },
  finished: { en: "Finished", ja: "終了" },
  rounds_done: { en: "Rounds", ja: "ラウンド数" },
  rounds_of: { en: "{round} of {rounds}", ja: "全{rounds}ラウンド中 {round}" },
  model_of_round: { en: "Model of round", ja: "採用モデルのラウンド" },
  sent: { en: "Sent of each test", ja: "テストについて送信した情報" },
  given_scores: { en: "scores of single images", ja: "画像ごとのスコア" },
  given_histograms: { en: "histograms of scores", ja: "スコアのヒストグラム" },
  given_metrics: { en: "metrics only", ja: "指標のみ" },

  measures_caption: {
    en: "Measures on the test images of all sites, with 95% confidence intervals.",
    ja: "全施設のテスト画像における評価指標と95%信頼区間。",
  },
  interval: { en: "95% interval", ja: "95%信頼区間" },
  measures_note: {
    en: "Rates hold at the threshold {threshold}, which was chosen on the sites’ validation images. Predictive values hold for the share of positives among these test images ({prevalence}) and would differ at another prevalence.",
    ja: "割合の指標は閾値 {threshold} における値であり、閾値は各施設の検証用画像で決定した。的中率はこのテスト画像の陽性割合（{prevalence}）におけるものであり、有病率が異なれば変化する。",
  },
  measures_note_half: {
    en: "Rates hold at the threshold {threshold}: no validation result could tell a better one. Predictive values hold for the share of positives among these test images ({prevalence}).",
    ja: "割合の指標は閾値 {threshold} における値である（検証結果から閾値を決定できなかった）。的中率はこのテスト画像の陽性割合（{prevalence}）におけるものである。",
  },
  loss: { en: "Mean cross entropy (lower is better)", ja: "平均交差エントロピー（低いほど良い）" },
  accuracy_at_half: { en: "Accuracy, as the sites told it", ja: "正診率（各施設の報告値）" },

  counts_caption: { en: "Images of each site by class, as the sites sent the counts.", ja: "施設別・クラス別の画像数（各施設の送信値）。" },
  counts_note: {
    en: "Sites may round small counts up before they send them, so the sums can be a little too high.",
    ja: "各施設は少数の画像数を切り上げて送信することがあるため、合計は実際よりやや多いことがある。",
  },
  sites_caption: {
    en: "The model on each site’s own test images, with 95% confidence intervals below.",
    ja: "各施設のテスト画像におけるモデルの成績（下段は95%信頼区間）。",
  },
  sites_note: {
    en: "Sensitivity, specificity and accuracy at the run’s threshold. Where a site sent metrics only, its accuracy is at 0.5.",
    ja: "感度、特異度および正診率は共通の閾値における値である。指標のみを送信した施設の正診率は閾値0.5における値である。",
  },
  sites_chart: {
    en: "How well one model serves each site. Marker: estimate; line: 95% confidence interval. Intervals are wide where a site has few test images.",
    ja: "1つのモデルが各施設の画像でどの程度の性能を示すかを表す。記号は推定値、横線は95%信頼区間。テスト画像の少ない施設では区間が広くなる。",
  },
  all_sites: { en: "All sites", ja: "全施設" },
  sent_by_site: { en: "Sent", ja: "送信情報" },
  not_told: { en: "no counts sent", ja: "画像数の送信なし" },

  roc_reading: {
    en: "The nearer the curve comes to the upper left corner, the better; the diagonal is chance.",
    ja: "曲線が左上に近いほど優れ、対角線は偶然と同等を示す。",
  },
  roc_reading_bins: {
    en: "The nearer the curve comes to the upper left corner, the better; the diagonal is chance. The curve has a point for each bin of the histograms.",
    ja: "曲線が左上に近いほど優れ、対角線は偶然と同等を示す。曲線の各点はヒストグラムの区間に対応する。",
  },
  confusion_reading: {
    en: "Rows: the true class; columns: what the model said at the threshold. Correct answers are on the diagonal. Percentages are of the row.",
    ja: "行は正解クラス、列は閾値におけるモデルの予測である。対角線上が正答を示す。百分率は行に対する割合。",
  },
  not_from_these: {
    en: "This cannot be computed from what the sites sent.",
    ja: "送信された情報からは算出できない。",
  },

  curves_title: { en: "The global model by round.", ja: "ラウンドごとの全体モデル。" },
  curves_reading: {
    en: "Over the images of all sites that tested the model. Ring: the round whose model is the run’s. Test images had no part in choosing it. Training loss: mean over the sites that answered, by images.",
    ja: "モデルをテストした全施設の画像における値。丸印は採用モデルのラウンドであり、選択にテスト画像は用いていない。訓練損失は回答した施設の画像数による加重平均。",
  },
  rounds_caption: { en: "Every round. Asked = answered + refused + failed + late.", ja: "全ラウンドの記録。依頼＝回答＋拒否＋失敗＋遅延。" },
  asked: { en: "Asked", ja: "依頼" },
  answered: { en: "Answered", ja: "回答" },
  refused: { en: "Refused", ja: "拒否" },
  failed: { en: "Failed", ja: "失敗" },
  late: { en: "Late", ja: "遅延" },
  time: { en: "Time", ja: "所要時間" },
  visits: { en: "Image visits", ja: "画像提示回数" },

  cross_caption: {
    en: "AUC of each site’s own last model (rows) on the test images of each site (columns), with 95% confidence intervals below.",
    ja: "各施設の最終モデル（行）を各施設のテスト画像（列）で評価したAUC（下段は95%信頼区間）。",
  },
  cross_note: {
    en: "A site’s own last model is what it sent in its last round, before averaging: it began from the common model, so it is no model trained alone.",
    ja: "各施設の最終モデルとは、平均前に最後のラウンドで送信したモデルである。共通のモデルから訓練を始めたものであり、単独学習のモデルではない。",
  },
  cross_none: {
    en: "The run did not test the sites’ own models at other sites (run.cross_site).",
    ja: "この実行では施設モデルの相互評価（run.cross_site）を行っていない。",
  },
  global_model: { en: "The run’s model", ja: "採用モデル" },
  trained_at: { en: "Trained at ↓ tested at →", ja: "訓練施設↓ 評価施設→" },

  protocol_caption: { en: "The agreement that every site had before it took part.", ja: "各施設が参加前に確認した合意内容。" },
} as const satisfies Record<string, { en: string; ja: string }>;
