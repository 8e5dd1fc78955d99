// Reports made up for tests and for looking at the page: plausible in shape, drawn from a fixed stream of random
// numbers, so that every run gives the same bytes. No number in them was measured.
import type {
  Arm,
  CalibrationBin,
  Comparison,
  Estimate,
  ReportData,
  RocCurve,
  RoundCurve,
} from "../src/report/data";

// mulberry32: enough for drawing samples, and the same everywhere.
export function stream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function gauss(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const round = (x: number, digits = 6) => Number(x.toFixed(digits));
const clamp = (x: number, low = 0, high = 1) => Math.min(high, Math.max(low, x));

function estimate(value: number, half: number, method: string): Estimate {
  return { value: round(value), low: round(clamp(value - half * 1.1)), high: round(clamp(value + half)), method };
}

// The curve of scores that are normal with unit variance and `distance` apart, from images drawn one by one.
function roc(random: () => number, label: string, distance: number, images: number): RocCurve {
  const scores = Array.from({ length: images }, (_, i) => ({
    positive: i % 2 === 0,
    score: gauss(random) + (i % 2 === 0 ? distance : 0),
  })).sort((x, y) => y.score - x.score);
  const positives = scores.filter((s) => s.positive).length;
  const negatives = images - positives;
  const fpr = [0];
  const tpr = [0];
  let hits = 0;
  let alarms = 0;
  let area = 0;
  for (const s of scores) {
    if (s.positive) {
      hits++;
    } else {
      alarms++;
      area += hits;
    }
    fpr.push(round(alarms / negatives));
    tpr.push(round(hits / positives));
  }
  return { label, auc: round(area / (positives * negatives)), fpr, tpr };
}

function calibration(random: () => number, slope: number): CalibrationBin[] {
  return Array.from({ length: 8 }, (_, i) => {
    const predicted = (i + 0.5) / 8;
    const n = Math.round(20 + 60 * random());
    const observed = clamp(0.5 + (predicted - 0.5) * slope + 0.04 * gauss(random), 0.02, 0.98);
    const half = 1.96 * Math.sqrt((observed * (1 - observed)) / n + 0.0005);
    return {
      predicted: round(predicted),
      observed: round(observed),
      low: round(clamp(observed - half)),
      high: round(clamp(observed + half)),
      count: n,
    };
  });
}

function course(
  random: () => number,
  o: { repeat: number; site: string | null; level: number; rounds: number },
): RoundCurve {
  const rounds = Array.from({ length: o.rounds + 1 }, (_, i) => i);
  const rise = (r: number) => 1 - Math.exp(-r / (2.5 + 2 * random()));
  const validation = rounds.map((r) => round(clamp(0.5 + (o.level - 0.5) * rise(r) + 0.012 * gauss(random))));
  const best = validation.indexOf(Math.max(...validation));
  return {
    repeat: o.repeat,
    fold: 1,
    site: o.site,
    rounds,
    train_loss: rounds.map((r) => (r === 0 ? null : round(0.25 + 0.45 * Math.exp(-r / 6) + 0.01 * random()))),
    validation_auc: validation,
    test_auc: validation.map((v) => round(clamp(v - 0.01 + 0.01 * gauss(random)))),
    best_round: best,
  };
}

// Two greys, one pixel each: a picture's place is what matters here.
const kThumbnails = [
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNwAwAASABH5t/cLwAAAABJRU5ErkJggg==",
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mOYBgAAmACXjQdCCAAAAABJRU5ErkJggg==",
];

const kHospitals = ["Minato Eye Clinic", "Kita General Hospital", "Aoba University Hospital"];
type ArmName = Arm["name"];
const kArms: ArmName[] = ["pooled", "federated", "alone"];

interface Shape {
  classes: string[];
  positive: number | null;
  repeats: number;
  level: Record<ArmName, number>;
  half: number; // of a 95% interval
  perSite: number[];
  seed: number;
  sites: string[];
  rounds: number;
}

function arm(name: ArmName, shape: Shape, random: () => number): Arm {
  const level = shape.level[name];
  const binary = shape.positive !== null;
  const method = shape.repeats > 1 ? "obuchowski_rockette" : "delong_clustered";
  const rate = (shift: number) => estimate(clamp(level + shift - 0.04), shape.half * 1.4, "wilson_clustered");
  const metrics = binary
    ? [
        { key: "sensitivity", estimate: rate(-0.02) },
        { key: "specificity", estimate: rate(0.01) },
        { key: "accuracy", estimate: rate(0) },
        { key: "balanced_accuracy", estimate: estimate(level - 0.045, shape.half * 1.4, "bootstrap") },
        { key: "ppv", estimate: rate(0.005) },
        { key: "npv", estimate: rate(-0.01) },
        { key: "brier", estimate: estimate(0.25 - 0.17 * level, 0.015, "bootstrap") },
      ]
    : [
        { key: "accuracy", estimate: rate(-0.05) },
        { key: "balanced_accuracy", estimate: estimate(level - 0.08, shape.half * 1.4, "bootstrap") },
        { key: "quadratic_kappa", estimate: estimate(level - 0.12, shape.half * 1.6, "bootstrap") },
        { key: "brier", estimate: estimate(0.5 - 0.3 * level, 0.02, "bootstrap") },
        ...shape.classes.map((c, i) => ({ key: `recall:${c}`, estimate: rate(-0.03 * i) })),
      ];
  const models = name === "alone" ? shape.sites : [null];
  const perClass = 100;
  const k = shape.classes.length;
  const total = perClass * shape.repeats * models.length;
  const confusion = shape.classes.map((_, i) => {
    const right = Math.round(total * (level - 0.04 - 0.02 * i));
    return shape.classes.map((__, j) => {
      if (i === j) return right;
      const rest = total - right;
      const last = i === k - 1 ? k - 2 : k - 1;
      const each = Math.floor(rest / (k - 1));
      return j === last ? rest - each * (k - 2) : each;
    });
  });
  return {
    name,
    auc: estimate(level, shape.half, method),
    metrics,
    threshold: binary && name !== "alone" ? round(0.42 + 0.1 * random()) : null,
    roc: binary
      ? models.map((site, i) =>
          roc(random, site ?? name, 2.6 * (level - 0.5) * 2 - 0.15 * i, name === "alone" ? 160 : 200),
        )
      : [],
    calibration: calibration(random, name === "alone" ? 0.75 : 0.95),
    confusion,
    by_round: Array.from({ length: shape.repeats }, (_, r) =>
      models.map((site, i) => course(random, { repeat: r + 1, site, level: level - 0.02 * i, rounds: shape.rounds })),
    ).flat(),
    by_site: shape.sites.map((site, i) => ({
      site,
      auc: estimate(level + 0.01 * gauss(random), shape.half * (1.5 + 0.3 * i), "delong_clustered"),
      accuracy: estimate(level - 0.05 + 0.01 * gauss(random), shape.half * 2, "wilson_clustered"),
      images: shape.classes.map(() => shape.perSite[i] ?? 0),
    })),
    mistakes: Array.from({ length: 6 }, (_, i) => ({
      file: `images/${shape.classes[i % k]}/patient-${String(17 + 31 * i).padStart(4, "0")}_left.png`,
      truth: i % k,
      predicted: (i + 1) % k,
      probability: round(0.995 - 0.013 * i),
      thumbnail: i === 4 ? null : (kThumbnails[i % 2] ?? null),
    })),
    stopped: [],
    train_seconds: round(310 * shape.repeats * (name === "federated" ? 1.06 : 1)),
    images_per_second: round(812 - 30 * random(), 1),
  };
}

function compare(
  a: ArmName,
  b: ArmName,
  shape: Shape,
  random: () => number,
  margin: number,
): Comparison {
  const difference = shape.level[a] - shape.level[b];
  const half = shape.half * 0.55;
  const interval = { low: round(difference - half), high: round(difference + half) };
  const low90 = round(difference - half * 0.84);
  const high90 = round(difference + half * 0.84);
  const verdict =
    high90 < -margin
      ? "inferior"
      : low90 <= -margin
        ? "inconclusive"
        : high90 < margin
          ? "equivalent"
          : "not_inferior";
  return {
    a,
    b,
    difference: {
      value: round(difference),
      ...interval,
      method: shape.repeats > 1 ? "obuchowski_rockette" : "delong_paired_clustered",
    },
    p_value: Math.abs(difference) > half ? 0.0004 : 0.41,
    test: shape.repeats > 1 ? "obuchowski_rockette" : "delong_paired_clustered",
    by_cell: Array.from({ length: shape.repeats }, (_, r) => {
      const x = shape.level[a] + 0.006 * gauss(random);
      const y = shape.level[b] + 0.006 * gauss(random);
      return {
        repeat: r + 1,
        fold: 1,
        a: round(x),
        b: round(y),
        difference: round(x - y),
        low: round(x - y - half * 1.5),
        high: round(x - y + half * 1.5),
        p_value: round(0.05 + 0.9 * random()),
      };
    }),
    equivalence: b === "pooled" ? { margin, low90, high90, verdict, p_value: verdict === "equivalent" ? 0.012 : 0.21 } : null,
  };
}

function build(shape: Shape, source: string, architecture: string): ReportData {
  const random = stream(shape.seed);
  const margin = 0.02;
  const perClass = (n: number) => shape.classes.map((_, i) => n - 7 * i);
  const arms = kArms.map((name) => arm(name, shape, random));
  return {
    format: 1,
    manako_version: "0.1.0",
    title: source.split("/").pop() ?? source,
    created: "2026-11-23T09:41:00Z",
    synthetic: true,
    data: {
      source,
      name: source.split("/").filter((part) => part !== "" && !part.endsWith(".csv")).pop() ?? "",
      classes: shape.classes,
      positive: shape.positive,
      images: 1000 * shape.classes.length,
      patients: 620 * shape.classes.length,
      test_given: false,
      duplicates: { groups: 4, images: 9, moved: 2, conflicting: 1 },
      bad: {
        count: 2,
        listed: [
          { file: "images/normal/0031.png", why: "PNG ends after 1,024 of 18,211 bytes" },
          { file: "images/normal/readme.jpg", why: "not an image" },
        ],
      },
      splits: [
        { name: "train", per_class: perClass(680), patients: 420 * shape.classes.length },
        { name: "validation", per_class: perClass(120), patients: 75 * shape.classes.length },
        { name: "test", per_class: perClass(200), patients: 125 * shape.classes.length },
      ],
      sites: shape.sites.map((name, i) => ({
        name,
        train: perClass([340, 220, 120][i] ?? 0),
        validation: perClass([60, 40, 20][i] ?? 0),
        test: perClass(shape.perSite[i] ?? 0),
      })),
    },
    protocol: {
      rows: [
        { key: "architecture", value: architecture },
        { key: "parameters", value: "113,858" },
        { key: "image_size", value: "64" },
        { key: "strategy", value: "fedavg" },
        { key: "weighting", value: "images" },
        { key: "rounds", value: String(shape.rounds) },
        { key: "local_epochs", value: "1" },
        { key: "optimiser", value: "sgd" },
        { key: "learning_rate", value: "0.01" },
        { key: "batch", value: "16" },
        { key: "scheme", value: "dirichlet" },
        { key: "alpha", value: "0.5" },
        { key: "seed", value: "20261123" },
      ],
      repeats: shape.repeats,
      folds: 0,
      margin,
      visits_per_arm: 27200,
      primary_metric: shape.positive === null ? "macro_auc" : "auc",
    },
    arms,
    comparisons: [
      compare("federated", "pooled", shape, random, margin),
      compare("federated", "alone", shape, random, margin),
      compare("pooled", "alone", shape, random, margin),
    ],
    cells: Array.from({ length: shape.repeats }, (_, r) => ({
      repeat: r + 1,
      fold: 1,
      seed: String(20261123 + r),
      auc: arms.flatMap((a) =>
        (a.name === "alone" ? shape.sites : [null]).map((site, i) => ({
          arm: a.name,
          site,
          value: round(shape.level[a.name] - (a.name === "alone" ? 0.02 * (i - 1) : 0) + 0.006 * gauss(random)),
          best_round: 12 + Math.floor(8 * random()),
        })),
      ),
    })),
    times: {
      total_seconds: 1130.4 * shape.repeats,
      load_seconds: 6.2,
      threads: 8,
      precision: "float32",
      device: "cpu",
      machine: "AMD EPYC 7763, 8 cores, 32 GB",
    },
    warnings: [
      {
        en: "1 pair of identical images carries labels that contradict each other.",
        ja: "ラベルが互いに矛盾する同一画像が1組ある。",
      },
    ],
    config_toml: `[data]\npath = "${source}"\n\n[model]\narchitecture = "${architecture}"\n\n[study]\nrepeats = ${shape.repeats}\nmargin = 0.02\nseed = 20261123\n`,
  };
}

export function binaryReport(): ReportData {
  return build(
    {
      classes: ["normal", "glaucoma"],
      positive: 1,
      repeats: 5,
      level: { pooled: 0.934, federated: 0.931, alone: 0.872 },
      half: 0.021,
      perSite: [67, 67, 66],
      seed: 7,
      sites: kHospitals,
      rounds: 20,
    },
    "phantoms/glaucoma/manifest.csv",
    "cnn3",
  );
}

// One training of each arm over many rounds, with sites that have no names of their own: the shape of the demo.
export function singleReport(): ReportData {
  const data = build(
    {
      classes: ["normal", "glaucoma"],
      positive: 1,
      repeats: 1,
      level: { pooled: 0.936, federated: 0.904, alone: 0.565 },
      half: 0.022,
      perSite: [67, 67, 66],
      seed: 13,
      sites: ["site-1", "site-2", "site-3"],
      rounds: 130,
    },
    "runs/demo-images/manifest.csv",
    "cnn3",
  );
  return { ...data, warnings: [] };
}

export function threeClassReport(): ReportData {
  return build(
    {
      classes: ["none", "moderate", "severe"],
      positive: null,
      repeats: 1,
      level: { pooled: 0.902, federated: 0.884, alone: 0.851 },
      half: 0.034,
      perSite: [67, 67, 66],
      seed: 11,
      sites: kHospitals,
      rounds: 20,
    },
    "phantoms/retinopathy-grades",
    "resnet18",
  );
}

// A run that came to a stop: the federated arm broke off, one site had training images of one class only, nothing could
// be compared, no patients were known.
export function unfinishedReport(): ReportData {
  const data = binaryReport();
  const none: Estimate = { value: null, low: null, high: null, method: "" };
  const [pooled, federated, alone] = data.arms as [Arm, Arm, Arm];
  return {
    ...data,
    data: { ...data.data, patients: null, duplicates: { groups: 0, images: 0, moved: 0, conflicting: 0 }, bad: { count: 0, listed: [] } },
    protocol: { ...data.protocol, repeats: 1 },
    arms: [
      { ...pooled, by_round: pooled.by_round.slice(0, 1) },
      {
        ...federated,
        auc: none,
        metrics: federated.metrics.map((m) => ({ key: m.key, estimate: none })),
        threshold: null,
        roc: [],
        calibration: [],
        confusion: [
          [0, 0],
          [0, 0],
        ],
        by_round: federated.by_round.slice(0, 1).map((c) => ({
          ...c,
          rounds: c.rounds.slice(0, 4),
          train_loss: [null, 0.69, 0.71, null],
          validation_auc: [0.5, 0.55, null, null],
          test_auc: [null, null, null, null],
          best_round: 1,
        })),
        by_site: federated.by_site.map((s) => ({ ...s, auc: none, accuracy: none })),
        mistakes: [],
        stopped: [{ repeat: 1, fold: 1, site: null, round: 3, why: { en: "training loss is NaN after 41 steps", ja: "41ステップで損失がNaNになった" } }],
      },
      {
        ...alone,
        by_round: alone.by_round.slice(0, 3),
        by_site: alone.by_site.map((s, i) => (i === 2 ? { ...s, auc: none, images: [66, 0] } : s)),
        stopped: [
          {
            repeat: 1,
            fold: 1,
            site: kHospitals[2] ?? null,
            round: 1,
            why: { en: "training images are of one class only", ja: "訓練画像が1クラスのみである" },
          },
        ],
      },
    ],
    comparisons: data.comparisons.map((c) => ({
      ...c,
      by_cell: c.by_cell.slice(0, 1),
      ...(c.a === "federated"
        ? { difference: none, p_value: null, equivalence: null, by_cell: [] }
        : {}),
    })),
    cells: data.cells.slice(0, 1).map((cell) => ({
      ...cell,
      auc: cell.auc.map((m) => (m.arm === "federated" ? { ...m, value: null, best_round: 1 } : m)),
    })),
    warnings: [],
  };
}

// Strings as an attacker, or an unlucky file name, would have them; in every place where a string can stand.
export const kHostile = `"><img src=x onerror=alert(1)></script><script>alert(2)</script>\u202e&lt;{margin}`;

export function hostileReport(): ReportData {
  const names = new Set(["name", "method", "test", "thumbnail", "created", "a", "b", "arm", "verdict", "primary_metric"]);
  const spoil = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) return value.map((v) => spoil(v, key));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, spoil(v, k)]));
    }
    if (key === "thumbnail") return "https://example.org/pixel.png";
    return typeof value === "string" && !names.has(key) ? kHostile : value;
  };
  const data = spoil(binaryReport(), "") as ReportData;
  return {
    ...data,
    data: { ...data.data, sites: data.data.sites.map((s) => ({ ...s, name: kHostile })) },
    protocol: { ...data.protocol, rows: [...data.protocol.rows, { key: "constructor", value: "__proto__" }] },
  };
}

// The page as the program writes it: the data in the place of "null". "<" is escaped, so that no string ends the element.
export function fillPage(page: string, data: unknown): string {
  const place = '<script type="application/json" id="manako-report">null</script>';
  if (page.split(place).length !== 2) throw new Error("the page needs its place for the data exactly once");
  const json = JSON.stringify(data).replace(/</g, "\\u003c");
  return page.replace(place, () => place.replace("null", () => json));
}
