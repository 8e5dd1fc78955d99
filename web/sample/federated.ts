// A made-up run of a federation, for tests and for looking at the page. No number in it was measured.
import type { FederatedData, Given } from "../src/report/federated/data";
import { binaryReport } from "./generate";

// What three sites sent of a run; `given` is what the least of them sent.
export function federatedReport(given: Given = "histograms"): FederatedData {
  const arm = binaryReport().arms.find((a) => a.name === "federated")!;
  const wilson = (value: number, half: number) => ({ value, low: value - half, high: Math.min(1, value + half), method: "wilson" });
  const auc = (value: number, half: number) => ({
    value,
    low: value - half * 1.2,
    high: value + half,
    method: given === "scores" ? "delong" : given === "histograms" ? "delong_binned" : "newcombe",
  });
  const nothing = { value: null, low: null, high: null, method: "" };
  const told = given === "metrics";
  const sites: [string, number, number][] = [
    ["east-clinic", 0.91, 0.05],
    ["north-hospital", 0.88, 0.06],
    ["west-clinic", 0.93, 0.045],
  ];
  return {
    format: 1,
    kind: "federated_run",
    manako_version: "0.0.0-sample",
    created: "2026-11-24T09:41:00Z",
    run: {
      id: "20261124-kmmnb",
      name: "Retinal detachment, first run",
      federation: "Himeji Eye Federation",
      state: "finished",
      why: "",
      created: "2026-11-24T08:00:00Z",
      started: "2026-11-24T08:02:00Z",
      finished: "2026-11-24T09:41:00Z",
      round: 12,
      rounds: 12,
      best_round: 10,
      chosen: true,
      report: given,
    },
    classes: ["detachment", "normal"],
    positive: 0,
    sites: [
      ...sites.map(([name], i) => ({ name, state: "ended", why: "", train: [210 + i, 190 + 7 * i], validation: [30, 28], test: [48, 45 + i] })),
      { name: "south-clinic", state: "refused", why: "a person at the site refused the run", train: [], validation: [], test: [] },
    ],
    result: {
      round: 10,
      method: given,
      bins: given === "histograms" ? 200 : null,
      tested: 282,
      images: [144, 138],
      loss: 0.384,
      auc: told ? { ...auc(0.907, 0.03), method: "mover_sites" } : auc(0.903, 0.03),
      metrics: told ? [{ key: "accuracy_at_half", estimate: wilson(0.85, 0.04) }] : arm.metrics.filter((m) => given === "scores" || m.key !== "brier"),
      threshold: told ? null : 0.485,
      threshold_chosen: !told,
      roc: told ? [] : arm.roc,
      calibration: told ? [] : arm.calibration,
      confusion: told ? [] : [[125, 19], [16, 122]],
      by_site: sites.map(([site, value, half], i) => ({
        site,
        images: [48, 45 + i],
        tested: 93 + i,
        given,
        auc: auc(value, half),
        sensitivity: told ? nothing : wilson(0.87, 0.07),
        specificity: told ? nothing : wilson(0.88, 0.07),
        accuracy: wilson(0.875, 0.05),
        loss: 0.38,
      })),
    },
    rounds: Array.from({ length: 13 }, (_, r) => ({
      round: r,
      seconds: r === 0 ? null : 380 + r,
      asked: r === 0 ? 0 : 3,
      answered: r === 0 ? 0 : 3,
      refused: 0,
      failed: 0,
      late: 0,
      visits: r === 0 ? 0 : 1536,
      train_loss: r === 0 ? null : 0.66 * 0.94 ** r,
      validation_auc: r % 2 === 0 ? 0.92 - 0.38 * 0.75 ** r : null,
      test_auc: r % 2 === 0 ? 0.905 - 0.38 * 0.76 ** r : null,
    })),
    cross_site: {
      trained_by: sites.map(([name]) => name),
      sites: sites.map(([name]) => name),
      cells: sites.flatMap(([trained_by], i) => sites.map(([site], j) => ({ trained_by, site, auc: auc(0.9 - 0.02 * Math.abs(i - j), 0.05) }))),
    },
    protocol: [
      { key: "name", value: "Retinal detachment, first run" },
      { key: "architecture", value: "cnn3" },
      { key: "learning_rate", value: "0.001" },
      { key: "batch", value: "32" },
      { key: "report", value: given },
      { key: "bins", value: "200" },
    ],
    warnings: told ? [{ en: "At least one site sent no more than its own metrics.", ja: "少なくとも1施設が自施設の指標のみを送信した。" }] : [],
    config_toml: '[run]\nname = "Retinal detachment, first run"\nclasses = ["detachment", "normal"]\n',
  };
}

// Before any site has tested a model, and with nothing agreed upon.
export function startedFederatedReport(): FederatedData {
  const data = federatedReport();
  return {
    ...data,
    run: { ...data.run, state: "gathering", finished: "", round: 0, rounds: 0, best_round: -1 },
    sites: data.sites.map((s) => ({ ...s, state: "asked", train: [], validation: [], test: [] })),
    result: null,
    rounds: [],
    cross_site: null,
    warnings: [{ en: "The run is not finished: these are the numbers so far.", ja: "実行は完了していない。現時点までの数値である。" }],
  };
}
