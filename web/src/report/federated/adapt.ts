// The run's model as the one arm of a study's report, for the sections that both reports have.
import type { Arm, ReportData } from "../data";
import type { FederatedData } from "./data";

export function asReport(data: FederatedData): ReportData {
  const result = data.result;
  const none = { value: null, low: null, high: null, method: "" };
  const arm: Arm = {
    name: "federated",
    auc: result?.auc ?? none,
    metrics: result?.metrics ?? [],
    threshold: result?.threshold ?? null,
    roc: result?.roc ?? [],
    calibration: result?.calibration ?? [],
    confusion: result?.confusion ?? [],
    by_round: [
      {
        repeat: 1,
        fold: 1,
        site: null,
        rounds: data.rounds.map((r) => r.round),
        train_loss: data.rounds.map((r) => r.train_loss),
        validation_auc: data.rounds.map((r) => r.validation_auc),
        test_auc: data.rounds.map((r) => r.test_auc),
        best_round: data.run.best_round,
      },
    ],
    by_site: (result?.by_site ?? []).map((s) => ({ site: s.site, auc: s.auc, accuracy: s.accuracy, images: s.images })),
    mistakes: [],
    stopped: [],
    train_seconds: 0,
    images_per_second: 0,
  };
  return {
    format: 1,
    manako_version: data.manako_version,
    title: data.run.name,
    created: data.created,
    synthetic: false,
    data: {
      source: "",
      name: data.run.name,
      classes: data.classes,
      positive: data.positive,
      images: result?.tested ?? 0,
      patients: null,
      test_given: false,
      duplicates: { groups: 0, images: 0, moved: 0, conflicting: 0 },
      bad: { count: 0, listed: [] },
      splits: [],
      sites: [],
    },
    protocol: {
      rows: data.protocol,
      repeats: 1,
      folds: 0,
      margin: 0,
      visits_per_arm: 0,
      primary_metric: data.positive === null ? "macro_auc" : "auc",
    },
    arms: [arm],
    comparisons: [],
    cells: [],
    times: { total_seconds: 0, load_seconds: 0, threads: 0, precision: "", device: "", machine: "" },
    warnings: data.warnings,
    config_toml: data.config_toml,
  };
}
