// The contract between `manako run report` (src/report/federated_report.h, which writes it) and the page, where the JSON
// in it has kind "federated_run". Numbers are null where they are undefined or were not sent.
import type { CalibrationBin, Estimate, RocCurve, Warning } from "../data";

export type Given = "scores" | "histograms" | "metrics"; // what sites sent of a test

export interface FederatedData {
  format: 1;
  kind: "federated_run";
  manako_version: string;
  created: string; // ISO 8601, UTC: of the latest thing in it
  run: {
    id: string;
    name: string;
    federation: string;
    state: string; // created, gathering, training, testing, finished, cancelled, failed
    why: string;
    created: string;
    started: string; // "": never
    finished: string;
    round: number; // completed
    rounds: number; // in all; 0: not known yet
    best_round: number; // whose model is the run's; -1: none yet
    chosen: boolean; // by validation images; false: it is the last one
    report: Given; // what was asked of a test
  };
  classes: string[];
  positive: number | null;
  sites: FederatedSite[];
  result: Result | null; // null: nobody has tested the run's model
  rounds: Round[];
  cross_site: CrossSite | null;
  protocol: { key: string; value: string }[];
  warnings: Warning[];
  config_toml: string;
}

export interface FederatedSite {
  name: string;
  state: string;
  why: string;
  train: number[]; // per class, as the site sent them; empty: it did not
  validation: number[];
  test: number[];
}

// The model behind `round` on the test images of all sites that tested it.
export interface Result {
  round: number;
  method: Given; // the least that all sites gave: what the numbers are computed from
  bins: number | null; // of histograms
  tested: number; // images
  images: number[]; // per class
  loss: number | null;
  auc: Estimate;
  metrics: { key: string; estimate: Estimate }[];
  threshold: number | null;
  threshold_chosen: boolean; // on validation images
  roc: RocCurve[];
  calibration: CalibrationBin[];
  confusion: number[][];
  by_site: SiteResult[];
}

export interface SiteResult {
  site: string;
  images: number[];
  tested: number;
  given: Given;
  auc: Estimate;
  sensitivity: Estimate;
  specificity: Estimate;
  accuracy: Estimate; // at the threshold; where the site gave metrics only, at 0.5
  loss: number | null;
}

export interface Round {
  round: number; // 0: the initial model, tested and no more
  seconds: number | null;
  asked: number;
  answered: number;
  refused: number;
  failed: number;
  late: number;
  visits: number;
  train_loss: number | null;
  validation_auc: number | null;
  test_auc: number | null;
}

export interface CrossSite {
  trained_by: string[];
  sites: string[];
  cells: { trained_by: string; site: string; auc: Estimate }[];
}
