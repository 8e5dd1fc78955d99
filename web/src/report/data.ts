// The contract between `manako` (src/report, which writes it) and the report page (which shows it): the JSON inside
// report.html's <script type="application/json" id="manako-report">. metrics.json is the same without thumbnails.
//
// Numbers are null where they are undefined (no positive images, an arm that was stopped). Probabilities, rates and
// AUCs are 0..1. Where an experiment has several repeats or folds, an Estimate is over all of them (see `method`).

export interface ReportData {
  format: 1;
  manako_version: string;
  title: string; // data.name; the page makes its heading from data.source, data.name and the network
  created: string; // ISO 8601, UTC
  synthetic: boolean; // the images are phantoms: the report says so in its first line
  data: DataSummary;
  protocol: Protocol;
  arms: Arm[]; // in the order pooled, federated, alone; those that were run
  comparisons: Comparison[]; // federated - pooled first, then federated - alone, pooled - alone
  cells: Cell[]; // one for each repeat and fold
  times: Times;
  warnings: Warning[]; // what a reader must know before believing the numbers
  config_toml: string; // the complete config of the run
}

// A sentence in both languages; the page shows the one that is switched on.
export interface Text {
  en: string;
  ja: string;
}
export type Warning = Text;

export interface DataSummary {
  source: string; // what was given on the command line
  name: string; // the given folder's name, or of the folder that holds the manifest; an .npz has its own; "" if unknown
  classes: string[];
  positive: number | null; // index of the positive class of a binary task, else null
  images: number;
  patients: number | null; // null where no patient column was given: each image counts as its own patient
  test_given: boolean; // the test set was given apart (not drawn by the study)
  duplicates: { groups: number; images: number; moved: number; conflicting: number };
  bad: { count: number; listed: { file: string; why: string }[] };
  splits: SplitCounts[]; // of the first repeat (and fold)
  sites: SiteCounts[]; // of the first repeat (and fold)
}
export interface SplitCounts {
  name: "train" | "validation" | "test";
  per_class: number[];
  patients: number | null;
}
export interface SiteCounts {
  name: string;
  train: number[]; // per class
  validation: number[];
  test: number[]; // the share of the test set that belongs to the site (by column), else its even share
}

// What was done, as label and value, in the order to show; the label is an identifier such as "local_epochs" for which
// the page has a name in each language (unknown ones are shown as they are).
export interface Protocol {
  rows: { key: string; value: string }[];
  repeats: number;
  folds: number; // 0: no cross-validation
  margin: number;
  visits_per_arm: number; // image visits in training, for one repeat and fold
  primary_metric: "auc" | "macro_auc";
}

export interface Estimate {
  value: number | null;
  low: number | null; // 95% interval
  high: number | null;
  method: string; // identifier: "delong", "delong_clustered", "wilson", "bootstrap", "t_over_repeats", ...
}

export interface Arm {
  name: "pooled" | "federated" | "alone";
  auc: Estimate; // macro one-vs-rest when there are more than two classes
  // "sensitivity", "specificity", "accuracy", "balanced_accuracy", "ppv", "npv", "brier", and for several classes
  // "quadratic_kappa", and "recall:<class>" for each class.
  metrics: { key: string; estimate: Estimate }[];
  threshold: number | null; // chosen on validation data (first repeat); null for several classes
  roc: RocCurve[]; // one for each model of the arm (alone: one for each site), over the test images of the first cell
  calibration: CalibrationBin[];
  confusion: number[][]; // [true][predicted], summed over repeats, folds and (alone) sites
  by_round: RoundCurve[];
  by_site: { site: string; auc: Estimate; accuracy: Estimate; images: number[] }[];
  mistakes: Mistake[]; // the most confident first
  stopped: { repeat: number; fold: number; site: string | null; round: number; why: Text }[];
  train_seconds: number;
  images_per_second: number;
}
export interface RocCurve {
  label: string; // "pooled", "federated", or the site's name
  auc: number | null;
  fpr: number[];
  tpr: number[];
}
export interface CalibrationBin {
  predicted: number; // mean predicted probability of the bin
  observed: number; // share of positives
  low: number; // Wilson
  high: number;
  count: number;
}
export interface RoundCurve {
  repeat: number;
  fold: number;
  site: string | null; // for the arm "alone"
  rounds: number[];
  train_loss: (number | null)[];
  validation_auc: (number | null)[];
  test_auc: (number | null)[];
  best_round: number; // the one whose model was kept, by validation
}
export interface Mistake {
  file: string;
  truth: number;
  predicted: number;
  probability: number; // of the predicted class
  thumbnail: string | null; // data:image/jpeg;base64,...
}

export interface Comparison {
  a: string; // arm names: the difference is a - b
  b: string;
  difference: Estimate;
  p_value: number | null;
  test: string; // identifier: "delong_paired", "delong_paired_clustered", "obuchowski_rockette", "corrected_t"
  by_cell: { repeat: number; fold: number; a: number | null; b: number | null; difference: number | null; low: number | null; high: number | null; p_value: number | null }[];
  // null except for federated - pooled. "equivalent": the whole 90% interval is inside +-margin; "not_inferior": above
  // -margin but not wholly below +margin; "inferior": wholly below -margin; "inconclusive": otherwise.
  equivalence: { margin: number; low90: number | null; high90: number | null; verdict: "equivalent" | "not_inferior" | "inferior" | "inconclusive"; p_value: number | null } | null;
}

export interface Cell {
  repeat: number;
  fold: number;
  seed: string;
  auc: { arm: string; site: string | null; value: number | null; best_round: number }[];
}

export interface Times {
  total_seconds: number;
  load_seconds: number;
  threads: number;
  precision: string;
  device: string;
  machine: string;
}
