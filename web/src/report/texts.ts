// Every sentence of the report, in both languages. {words in braces} are filled in where the text is used.
export const texts = {
  page_title: { en: "Federated learning study", ja: "連合学習の検証試験" },
  report: { en: "{of}: report", ja: "{of} 報告書" },
  title_with_names: { en: "{what}: {names}", ja: "{what}：{names}" },
  title_federated_pooled: { en: "Federated against pooled training", ja: "連合学習と統合学習の比較" },
  title_federated_alone: { en: "Federated training against training alone", ja: "連合学習と単独学習の比較" },
  title_pooled_alone: { en: "Pooled training against training alone", ja: "統合学習と単独学習の比較" },
  made_by: {
    en: "Manako {version} · {created}",
    ja: "Manako {version} · 作成 {created}",
  },
  contents: { en: "Contents", ja: "目次" },
  print: { en: "Print", ja: "印刷" },
  synthetic: {
    en: "Synthetic images. Every image in this report was drawn by a computer. The numbers show that the software works; they say nothing about diagnosing patients.",
    ja: "合成画像による結果。本報告書の画像はすべて計算機で生成したものである。数値はソフトウェアの動作を示すものであり、患者の診断性能を示すものではない。",
  },
  empty: {
    en: "This page holds no report. It is the empty form that the manako program fills in; open the report.html of a run folder instead.",
    ja: "このページには報告書のデータが含まれていない。manako が結果を書き込む前のひな形であるため、実行フォルダーにある report.html を開かれたい。",
  },
  broken: {
    en: "The data inside this page cannot be read ({why}). The file was probably cut off; write the report again with manako.",
    ja: "ページ内のデータを読み取れない（{why}）。ファイルが途中で切れている可能性がある。manako で報告書を作成し直されたい。",
  },
  other_format: {
    en: "The data inside this page has format {format}, and this page reads format 1. Write the report again with one version of manako.",
    ja: "ページ内のデータの形式は {format} であるが、このページが読めるのは形式 1 である。同じ版の manako で報告書を作成し直されたい。",
  },

  // What was compared.
  compared: {
    en: "The same network was trained in the ways below and tested on the same images: {images} images in {classes} classes ({names}) from the data set {source}, of which {test} were kept for testing.",
    ja: "同一のネットワークを以下の方法で訓練し、同一のテスト画像で比較した。データ：「{source}」、{images}画像、{classes}クラス（{names}）。うち{test}画像をテスト用とした。",
  },
  compared_positive: {
    en: "The positive class is {positive}.",
    ja: "陽性クラスは「{positive}」である。",
  },
  arm_pooled: { en: "Pooled", ja: "統合学習" },
  arm_federated: { en: "Federated", ja: "連合学習" },
  arm_alone: { en: "Alone", ja: "単独学習" },
  arm_pooled_what: {
    en: "All training images in one place: the yardstick, which in practice would need every hospital to give its images away.",
    ja: "全施設の訓練画像を1か所に集めて訓練する（プール）。比較の基準であるが、実際には各施設が画像を外部に提供する必要がある。",
  },
  arm_federated_what: {
    en: "Every site’s images stay where they are; only trained parameters are sent, averaged, and sent back, round after round.",
    ja: "画像は各施設から出さず、訓練済みパラメータのみを送信・平均し、各施設に戻すことをラウンドごとに繰り返す。",
  },
  arm_alone_what: {
    en: "Each site trains on its own images only. Numbers for this arm are means over the sites unless a site is named.",
    ja: "各施設が自施設の画像のみで訓練する。施設名の記載がない限り、この群の数値は施設間の平均である。",
  },

  // Sections.
  section_conclusion: { en: "Conclusion", ja: "結論" },
  section_auc: { en: "Main result", ja: "主要評価項目" },
  section_warnings: { en: "Warnings", ja: "注意事項" },
  section_metrics: { en: "All measures", ja: "評価指標一覧" },
  section_roc: { en: "ROC curves", ja: "ROC曲線" },
  section_calibration: { en: "Calibration", ja: "較正（キャリブレーション）" },
  section_rounds: { en: "Course of training", ja: "訓練の経過" },
  section_sites: { en: "Sites", ja: "施設別の結果" },
  section_confusion: { en: "Confusion matrices", ja: "混同行列" },
  section_mistakes: { en: "Most confident mistakes", ja: "確信度の高い誤分類" },
  section_cells: { en: "Repeats and folds", ja: "反復・分割ごとの結果" },
  section_data: { en: "Images", ja: "画像データ" },
  section_times: { en: "Time and equipment", ja: "所要時間と計算環境" },
  section_protocol: { en: "Protocol", ja: "試験条件" },
  section_methods: { en: "Statistical methods", ja: "統計手法" },

  // Forest plots.
  auc: { en: "AUC", ja: "AUC" },
  macro_auc: { en: "macro-averaged AUC", ja: "マクロ平均AUC" },
  forest_title: { en: "AUC of each arm.", ja: "各群のAUC。" },
  forest_title_macro: { en: "Macro-averaged AUC of each arm.", ja: "各群のマクロ平均AUC。" },
  forest_reading: {
    en: "The marker is the estimate, the line its 95% confidence interval. 1.0 would be a perfect separation of the classes, 0.5 no better than chance.",
    ja: "記号は推定値、横線は95%信頼区間を示す。1.0は完全な判別、0.5は偶然と同等を意味する。",
  },
  difference_title: { en: "Differences in AUC.", ja: "AUCの差。" },
  difference_title_macro: {
    en: "Differences in macro-averaged AUC.",
    ja: "マクロ平均AUCの差。",
  },
  difference_reading: {
    en: "Right of zero the arm named first is better. Thin line: 95% confidence interval.",
    ja: "0より右は先に記した群が優れることを示す。細線は95%信頼区間。",
  },
  difference_reading_margin: {
    en: "Shaded: the equivalence margin of ±{margin}. Federated training counts as equivalent to pooled training if the thick line (90% confidence interval) lies wholly inside the shaded band.",
    ja: "網かけは同等性マージン（±{margin}）。太線（90%信頼区間）がすべて網かけの範囲内にあるとき、連合学習は統合学習と同等と判定する。",
  },
  difference_axis: { en: "Difference in AUC", ja: "AUCの差" },
  no_interval: {
    en: "No estimate could be computed.",
    ja: "推定値を算出できなかった。",
  },

  // Metrics.
  metrics_caption: {
    en: "Measures on the test images, with 95% confidence intervals below.",
    ja: "テスト画像における評価指標（下段は95%信頼区間）。",
  },
  metrics_note_binary: {
    en: "Sensitivity, specificity, predictive values and accuracy hold at the threshold in the last row, which was chosen on validation images, not on test images (shown for the first repeat). Predictive values hold for the share of positives in this test set ({prevalence}) and would differ at another prevalence.",
    ja: "感度、特異度、的中率および正診率は、最下行の閾値における値である。閾値はテスト画像ではなく検証用画像で決定した（表示は第1反復）。的中率は本テストセットの陽性割合（{prevalence}）におけるものであり、有病率が異なれば変化する。",
  },
  metrics_note_multi: {
    en: "With several classes the predicted class is the most probable one, so there is no threshold. Macro-averaged AUC: the mean over the classes of the AUC of each class against the rest.",
    ja: "多クラス分類では確率が最大のクラスを予測とするため、閾値はない。マクロ平均AUCは、各クラス対その他のAUCをクラス間で平均したものである。",
  },
  measure: { en: "Measure", ja: "指標" },
  threshold: { en: "Threshold", ja: "閾値" },
  threshold_each: { en: "one for each site", ja: "施設別" },
  dash_undefined: {
    en: "–: not defined or not measured.",
    ja: "–：定義されない、または測定されなかったことを示す。",
  },
  dash_stopped: {
    en: "–: missing because training was stopped (see Warnings).",
    ja: "–：訓練が中断されたため値がない（「注意事項」を参照）。",
  },
  dash_one_class: {
    en: "only one class",
    ja: "1クラスのみ",
  },
  dash_no_images: { en: "no test images", ja: "テスト画像なし" },

  // ROC.
  roc_title: { en: "ROC curves on the test images.", ja: "テスト画像におけるROC曲線。" },
  roc_reading: {
    en: "The nearer a curve comes to the upper left corner, the better; the diagonal is chance. One curve for each model (for the arm “alone”, one for each site, numbered), first repeat and fold only.",
    ja: "曲線が左上に近いほど優れ、対角線は偶然と同等を示す。モデルごとに1本（単独学習では施設ごとに1本とし、番号を付す）、第1反復・第1分割のみを示す。",
  },
  roc_x: { en: "1 − specificity", ja: "1 − 特異度" },
  roc_y: { en: "Sensitivity", ja: "感度" },
  roc_tip: {
    en: "{name}\nsensitivity {tpr}\nspecificity {specificity}",
    ja: "{name}\n感度 {tpr}\n特異度 {specificity}",
  },
  roc_none_multi: {
    en: "ROC curves are drawn for tasks of two classes; for several classes see the macro-averaged AUC and the recall of each class.",
    ja: "ROC曲線は2クラス分類の場合のみ表示する。多クラス分類ではマクロ平均AUCと各クラスの再現率を参照のこと。",
  },
  none_yet: {
    en: "There are no results to draw: no model of this study was finished and evaluated.",
    ja: "評価まで完了したモデルがないため、表示できる結果がない。",
  },

  // Calibration.
  calibration_title: { en: "Calibration on the test images.", ja: "テスト画像における較正曲線。" },
  calibration_reading: {
    en: "Points on the diagonal: of the images given a probability of 70%, 70% really belong to that class. Below it the probabilities are too high, above it too low. Vertical lines: 95% confidence intervals (Wilson).",
    ja: "対角線上の点は、予測確率70%とされた画像の70%が実際にそのクラスであることを意味する。対角線より下は確率の過大評価、上は過小評価である。縦線は95%信頼区間（Wilson法）。",
  },
  calibration_x: { en: "Predicted probability", ja: "予測確率" },
  calibration_y: { en: "Observed share", ja: "実測割合" },

  // Rounds.
  rounds_title: { en: "{metric} by round.", ja: "ラウンドごとの{metric}。" },
  rounds_reading: {
    en: "Thin lines: single trainings ({what}). Thick line: their mean, over the rounds that all of them reached. Rings: the round whose model was kept, chosen on validation images. For the arms “pooled” and “alone” a round is as many image visits as in the federated arm.",
    ja: "細線は個々の訓練（{what}）、太線はその平均（すべての訓練が到達したラウンドまで）。丸印は検証用画像で選択し採用したモデルのラウンド。統合学習・単独学習の1ラウンドは、連合学習と同じ画像提示回数に相当する。",
  },
  rounds_loss: {
    en: "Lower means a closer fit to the training images, which is no measure of performance on new ones. Lines and rings as above.",
    ja: "低いほど訓練画像への適合が良いことを示すが、未知の画像に対する性能を示すものではない。線と丸印は前図と同じ。",
  },
  rounds_what: {
    en: "one for each repeat, fold and, for “alone”, site",
    ja: "反復・分割ごと、単独学習ではさらに施設ごと",
  },
  validation_auc: { en: "Validation AUC", ja: "検証用画像のAUC" },
  test_auc: { en: "Test AUC", ja: "テスト画像のAUC" },
  train_loss: { en: "Training loss", ja: "訓練損失" },
  round: { en: "Round", ja: "ラウンド" },
  test_by_round_note: {
    en: "The AUC on test images by round is shown for information only; no choice was made with it.",
    ja: "テスト画像のAUCの経過は参考として示すものであり、モデル選択には用いていない。",
  },

  // Sites.
  sites_counts_caption: {
    en: "Images of each site by class (first repeat and fold).",
    ja: "施設別・クラス別の画像数（第1反復・第1分割）。",
  },
  sites_counts_note: {
    en: "Test: the site’s own share of the test images, or, where images do not carry a site, an even share.",
    ja: "テスト：その施設に属するテスト画像。画像に施設の情報がない場合は均等に割り当てた数。",
  },
  site: { en: "Site", ja: "施設" },
  class: { en: "Class", ja: "クラス" },
  total: { en: "Total", ja: "合計" },
  train: { en: "Training", ja: "訓練用" },
  validation: { en: "Validation", ja: "検証用" },
  test: { en: "Test", ja: "テスト用" },
  sites_auc_title: { en: "AUC on each site’s test images.", ja: "各施設のテスト画像におけるAUC。" },
  sites_auc_reading: {
    en: "How well each way of training serves each site; for “alone” it is the site’s own model. Marker: estimate; line: 95% confidence interval. Intervals are wide where a site has few test images.",
    ja: "各訓練方法が各施設の画像でどの程度の性能を示すかを表す（単独学習は当該施設のモデル）。記号は推定値、横線は95%信頼区間。テスト画像の少ない施設では区間が広くなる。",
  },
  sites_result_caption: {
    en: "Results on each site’s test images, with 95% confidence intervals below.",
    ja: "各施設のテスト画像における結果（下段は95%信頼区間）。",
  },
  arm: { en: "Arm", ja: "群" },
  accuracy: { en: "Accuracy", ja: "正診率" },
  test_images: { en: "Test images", ja: "テスト画像数" },

  // Confusion.
  confusion_caption: { en: "{arm}: true and predicted class.", ja: "{arm}：正解クラスと予測クラス。" },
  confusion_reading: {
    en: "Rows: the true class; columns: what the model said. Correct answers are on the diagonal. Counts are summed over repeats, folds and, for “alone”, sites, so an image may be counted more than once; percentages are of the row.",
    ja: "行は正解クラス、列はモデルの予測である。対角線上が正答を示す。件数は反復・分割（単独学習では施設）にわたる合計であり、同じ画像が複数回数えられることがある。百分率は行に対する割合。",
  },
  true_predicted: { en: "True ↓ predicted →", ja: "正解↓ 予測→" },

  // Mistakes.
  mistakes_reading: {
    en: "The wrong answers that the model was surest of. Look at them first: they may be wrongly labelled images, unusual cases, or a weakness of the model.",
    ja: "モデルが最も高い確率で誤った画像である。ラベルの誤り、非典型例、またはモデルの弱点である可能性があり、最初に確認すべきである。",
  },
  mistakes_none: { en: "No mistakes are listed.", ja: "該当する誤分類はない。" },
  mistake_truth: { en: "True: {truth}", ja: "正解：{truth}" },
  mistake_predicted: { en: "Predicted: {predicted} ({probability})", ja: "予測：{predicted}（{probability}）" },
  mistake_alt: {
    en: "Test image {file}: true class {truth}, predicted {predicted}",
    ja: "テスト画像 {file}：正解 {truth}、予測 {predicted}",
  },
  mistake_no_picture: { en: "no picture kept", ja: "縮小画像なし" },

  // Cells.
  cells_reading: {
    en: "Each row is one complete experiment with its own split and seed; both arms of a pair saw the same images, so the difference is taken within the row.",
    ja: "各行は、それぞれ独自の分割と乱数シードによる1回の完結した実験である。対となる2群は同じ画像を用いるため、差は行内で算出した。",
  },
  cells_pair_caption: { en: "{a} and {b}: AUC in each experiment, with the 95% confidence interval of the difference.", ja: "{a}と{b}：各実験におけるAUC（差の下段は95%信頼区間）。" },
  cells_models_caption: {
    en: "Every model’s AUC on the test images and the round that was kept.",
    ja: "全モデルのテスト画像におけるAUCと採用ラウンド。",
  },
  cells_all_models: { en: "Every model", ja: "全モデル" },
  repeat: { en: "Repeat", ja: "反復" },
  fold: { en: "Fold", ja: "分割" },
  seed: { en: "Seed", ja: "乱数シード" },
  difference: { en: "Difference", ja: "差" },
  p: { en: "p", ja: "p値" },
  overall: { en: "Overall", ja: "全体" },
  kept_round: { en: "Kept round", ja: "採用ラウンド" },
  model: { en: "Model", ja: "モデル" },

  // Warnings.
  warnings_none: {
    en: "No warnings. How far the results reach is said under Conclusion.",
    ja: "警告はない。結果の適用範囲は「結論」に記した。",
  },
  warning_chance: {
    en: "The AUC is not shown to be above chance (0.5) for {arms}: such a model may have learnt nothing, and to be as good as it, or better, says little about the way of training.",
    ja: "{arms}のAUCが偶然（0.5）を上回ることは示されていない。何も学習していない可能性のあるモデルと同等またはそれ以上であっても、訓練方法の優劣はほとんど分からない。",
  },
  stopped_caption: { en: "Trainings that were stopped.", ja: "中断された訓練。" },
  stopped_note: {
    en: "What counts for a stopped training is the best model before it was stopped, chosen on validation images, if there was one.",
    ja: "中断された訓練については、中断前のモデルがあれば、そのうち検証用画像で最良のものを採用した。",
  },
  reason: { en: "Reason", ja: "理由" },

  // Data.
  splits_caption: { en: "Images by use and class (first repeat and fold).", ja: "用途別・クラス別の画像数（第1反復・第1分割）。" },
  use: { en: "Use", ja: "用途" },
  patients: { en: "Patients", ja: "患者数" },
  data_patients: {
    en: "{images} images of {patients} patients. All images of one patient were kept in the same part.",
    ja: "患者{patients}名の{images}画像。同一患者の画像はすべて同じ区分に割り当てた。",
  },
  data_no_patients: {
    en: "{images} images. No patient column was given, so each image was counted as a patient of its own; if patients have several images, the same patient may be in training and test, and the intervals are too narrow.",
    ja: "{images}画像。患者の列が指定されていないため、各画像を別々の患者として扱った。1人の患者に複数の画像がある場合、同一患者が訓練用とテスト用の両方に含まれる可能性があり、信頼区間は実際より狭くなる。",
  },
  data_test_given: {
    en: "The test set was given apart; the study did not draw it.",
    ja: "テストセットは別に与えられたものであり、本試験で抽出したものではない。",
  },
  data_test_drawn: {
    en: "The test set was drawn from the same images, so results at another hospital or camera may be lower.",
    ja: "テストセットは同じ画像群から抽出したため、他の施設や撮影装置では性能が低下する可能性がある。",
  },
  data_duplicates: {
    en: "Identical images: {groups} groups with {images} images; images moved so that copies stand in one part: {moved}; images whose labels contradict their copies’: {conflicting}.",
    ja: "同一画像：{groups}組（{images}画像）。{moved}画像は複製が同じ区分に入るよう移動した。{conflicting}画像は複製とラベルが矛盾している。",
  },
  data_no_duplicates: { en: "No identical images were found.", ja: "同一の画像は検出されなかった。" },
  data_bad: { en: "{count} files could not be read and were left out.", ja: "読み込めなかった{count}ファイルを除外した。" },
  data_no_bad: { en: "All files could be read.", ja: "すべてのファイルを読み込めた。" },
  data_bad_list: { en: "Files left out ({shown} of {count})", ja: "除外したファイル（{count}件中{shown}件）" },
  file: { en: "File", ja: "ファイル" },

  // Times.
  times_caption: { en: "Time and speed.", ja: "所要時間と処理速度。" },
  times_total: { en: "Whole study", ja: "試験全体" },
  times_load: { en: "Reading the images", ja: "画像の読み込み" },
  times_train: { en: "Training: {arm}", ja: "訓練：{arm}" },
  time_and_speed: { en: "{time} ({n} images/s)", ja: "{time}（{n}画像/秒）" },
  name_and_auc: { en: "{name}, AUC {auc}", ja: "{name}、AUC {auc}" },
  times_machine: { en: "Computer", ja: "計算機" },
  times_device: { en: "Device", ja: "演算装置" },
  times_threads: { en: "Threads", ja: "スレッド数" },
  times_precision: { en: "Precision", ja: "数値精度" },

  // Protocol.
  protocol_caption: { en: "How the study was done.", ja: "試験の実施条件。" },
  setting: { en: "Setting", ja: "項目" },
  value: { en: "Value", ja: "値" },
  visits: {
    en: "Image visits in training, for each arm",
    ja: "訓練での画像提示回数（各群）",
  },
  protocol_note: {
    en: "All arms had the same network, settings and number of image visits. “Alone”: each site had its own share of the visits.",
    ja: "ネットワーク、設定、画像提示回数は全群で同一である。単独学習では各施設が自施設分の画像提示回数を用いた。",
  },
  config: { en: "Complete configuration (TOML)", ja: "設定全文（TOML）" },

  // Methods.
  methods_reading: {
    en: "How each interval and test in this report was made.",
    ja: "本報告書の信頼区間および検定の方法を示す。",
  },
  methods_used_for: { en: "Used for: {what}.", ja: "適用：{what}。" },
  methods_differences: { en: "differences in AUC", ja: "AUCの差" },
  methods_equivalence: { en: "equivalence", ja: "同等性" },
  methods_arm_auc: { en: "AUC", ja: "AUC" },
  methods_by_site: { en: "results by site", ja: "施設別の結果" },
  methods_calibration: { en: "calibration", ja: "較正曲線" },
  methods_multiplicity: {
    en: "One comparison (federated against pooled) was primary. The others are not corrected for multiple testing.",
    ja: "主要な比較は連合学習と統合学習の1つである。その他の比較には多重性の調整を行っていない。",
  },
} as const satisfies Record<string, { en: string; ja: string }>;
