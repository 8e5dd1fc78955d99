// Measures, ROC curves, calibration, and the course of training.
import * as Plot from "@observablehq/plot";
import { Chart } from "../../kit/chart";
import { Figure, Legend } from "../../kit/figure";
import { fixed, isNumber, kNone, percent } from "../../kit/format";
import { fill, T, useText } from "../../kit/language";
import type { Text } from "../../kit/language";
import { siteStroke, strokeOf } from "../../kit/palette";
import { Table } from "../../kit/table";
import type { Arm, ReportData, RoundCurve } from "../data";
import { armName, metricName } from "../labels";
import { anyStopped, EstimateCell, isMacro, labelled, short, sum, summary, written } from "../shared";
import { texts } from "../texts";

// Every site's own model has its own threshold.
function Threshold({ of }: { of: Arm }) {
  const t = useText();
  if (isNumber(of.threshold)) return <>{fixed(of.threshold, 3)}</>;
  const each = of.name === "alone" && of.metrics.some((m) => isNumber(m.estimate.value));
  return each ? <small class="wrap">{t(texts.threshold_each)}</small> : <>{kNone}</>;
}

export function Metrics({ data }: { data: ReportData }) {
  const t = useText();
  const keys = [...new Set(data.arms.flatMap((a) => a.metrics.map((m) => m.key)))];
  const binary = !isMacro(data);
  const rows = [
    {
      head: t(metricName(data.protocol.primary_metric)),
      strong: true,
      cells: data.arms.map((a) => <EstimateCell of={a.auc} write={written("auc")} />),
    },
    ...keys.map((key) => ({
      head: t(metricName(key)),
      cells: data.arms.map((a) => (
        <EstimateCell of={a.metrics.find((m) => m.key === key)?.estimate} write={written(key)} />
      )),
    })),
    ...(binary
      ? [{ head: t(texts.threshold), cells: data.arms.map((a) => <Threshold of={a} />) }]
      : []),
  ];
  const test = data.data.splits.find((s) => s.name === "test");
  const positive = data.data.positive;
  const prevalence =
    test && isNumber(positive) && sum(test.per_class) > 0
      ? percent((test.per_class[positive] ?? 0) / sum(test.per_class))
      : kNone;
  const dash = data.arms.some((a) => !isNumber(a.auc.value) || a.metrics.some((m) => !isNumber(m.estimate.value)));
  return (
    <>
      <Table
        class="metrics"
        caption={texts.metrics_caption}
        note={binary ? fill(texts.metrics_note_binary, { prevalence }) : texts.metrics_note_multi}
        columns={[
          { title: t(texts.measure) },
          ...data.arms.map((a) => ({ title: t(armName(a.name)), numeric: true })),
        ]}
        rows={rows}
      />
      {dash && (
        <p class="note">
          <T of={anyStopped(data) ? texts.dash_stopped : texts.dash_undefined} />
        </p>
      )}
    </>
  );
}

interface RocPoint {
  fpr: number;
  tpr: number;
  tip: string;
}

// Where the numbers of `count` curves stand: each on its own line fpr + tpr = constant, so that no two meet however the
// curves run. fpr + tpr grows along a curve; the middle ones are where curves differ most.
export function badgePlace(points: { fpr: number; tpr: number }[], index: number, count: number): { fpr: number; tpr: number } | null {
  const step = Math.min(0.16, 1.1 / Math.max(1, count - 1));
  const target = 1 + step * (index - (count - 1) / 2);
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1]!, points[i]!];
    const [from, to] = [a.fpr + a.tpr, b.fpr + b.tpr];
    if (to < target || to === from) continue;
    const share = (target - from) / (to - from);
    return { fpr: a.fpr + share * (b.fpr - a.fpr), tpr: a.tpr + share * (b.tpr - a.tpr) };
  }
  return null;
}

// `reading` and `none`: what to say instead in a report that is not a study's.
export function Roc({ data, reading, none }: { data: ReportData; reading?: Text; none?: Text }) {
  const t = useText();
  const curves = data.arms.flatMap((arm) => arm.roc.map((curve, site) => ({ arm, curve, site })));
  if (curves.length === 0) {
    return (
      <p class="note">
        <T of={isMacro(data) ? texts.roc_none_multi : (none ?? texts.none_yet)} />
      </p>
    );
  }
  const named = curves.map(({ arm, curve, site }) => {
    const name: Text =
      arm.name === "alone"
        ? fill({ en: "{arm}: {site}", ja: "{arm}：{site}" }, { arm: armName(arm.name), site: short(curve.label) })
        : armName(arm.name);
    const points: RocPoint[] = curve.fpr.map((fpr, i) => {
      const tpr = curve.tpr[i] ?? 0;
      const values = { name, tpr: percent(tpr), specificity: percent(1 - fpr) };
      return { fpr, tpr, tip: t(fill(texts.roc_tip, values)) };
    });
    // One curve of an arm needs no number.
    const several = arm.roc.length > 1;
    return {
      arm,
      curve,
      name,
      points,
      stroke: several ? siteStroke(arm.name, site) : strokeOf(arm.name),
      badge: several ? String(site + 1) : undefined,
      place: several ? badgePlace(points, site, arm.roc.length) : null,
    };
  });
  const badges = named.flatMap((n) => (n.place ? [{ ...n.place, badge: n.badge, color: n.stroke.color }] : []));
  const parts = named.map((n) => ({ name: n.name, value: { en: `AUC ${fixed(n.curve.auc, 3)}`, ja: `AUC ${fixed(n.curve.auc, 3)}` } }));
  // The federated curve comes last, on top.
  const inOrder = [...named].sort((a, b) => Number(a.arm.name === "federated") - Number(b.arm.name === "federated"));
  const draw = (width: number): Plot.PlotOptions => ({
    height: width,
    marginLeft: 58,
    marginBottom: 44,
    marginTop: 12,
    marginRight: 14,
    x: { domain: [0, 1], label: t(texts.roc_x), labelAnchor: "center", labelArrow: "none", ticks: 5, labelOffset: 40 },
    y: { domain: [0, 1], label: t(texts.roc_y), labelAnchor: "center", labelArrow: "none", ticks: 5, labelOffset: 54 },
    marks: [
      Plot.gridX({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.frame({ strokeOpacity: 0.5 }),
      Plot.link([0], { x1: 0, y1: 0, x2: 1, y2: 1, stroke: "currentColor", strokeOpacity: 0.45 }),
      ...inOrder.map((n) =>
        Plot.line(n.points, {
          x: "fpr",
          y: "tpr",
          stroke: n.stroke.color,
          strokeWidth: n.arm.name === "alone" ? 1.6 : 2.2,
          strokeDasharray: n.stroke.dash,
        }),
      ),
      Plot.dot(badges, { x: "fpr", y: "tpr", r: 8, fill: "var(--page)", stroke: (b: { color: string }) => b.color, strokeWidth: 1.2 }),
      Plot.text(badges, { x: "fpr", y: "tpr", text: "badge", fontSize: 11, fontWeight: 600 }),
      Plot.tip(
        inOrder.flatMap((n) => n.points),
        Plot.pointer({ x: "fpr", y: "tpr", title: "tip", maxRadius: 30 }),
      ),
    ],
  });
  return (
    <Figure
      title={texts.roc_title}
      reading={reading ?? texts.roc_reading}
      legend={
        <Legend
          lines
          entries={named.map((n) => ({
            stroke: n.stroke,
            badge: n.badge,
            name: <bdi>{t(fill(texts.name_and_auc, { name: n.name, auc: fixed(n.curve.auc, 3) }))}</bdi>,
          }))}
        />
      }
    >
      <Chart label={t(labelled(texts.roc_title, summary(parts)))} draw={draw} max={520} />
    </Figure>
  );
}

export function Calibration({ data, none }: { data: ReportData; none?: Text }) {
  const t = useText();
  const arms = data.arms.filter((a) => a.calibration.length > 0);
  if (arms.length === 0) {
    return (
      <p class="note">
        <T of={none ?? texts.none_yet} />
      </p>
    );
  }
  return (
    <Figure title={texts.calibration_title} reading={texts.calibration_reading}>
      <div class="panels">
        {arms.map((arm) => {
          const stroke = strokeOf(arm.name);
          const name = t(armName(arm.name));
          const label = `${name}. ${t(texts.calibration_x)} → ${t(texts.calibration_y)}: ${arm.calibration
            .map((b) => `${percent(b.predicted, 0)} → ${percent(b.observed, 0)}`)
            .join(", ")}`;
          const draw = (width: number): Plot.PlotOptions => ({
            height: Math.min(width, 320),
            marginLeft: 58,
            marginBottom: 44,
            marginTop: 12,
            marginRight: 20,
            x: { domain: [0, 1], percent: false, label: t(texts.calibration_x), labelAnchor: "center", labelArrow: "none", ticks: 5, tickFormat: (x: number) => percent(x, 0), labelOffset: 40 },
            y: { domain: [0, 1], label: t(texts.calibration_y), labelAnchor: "center", labelArrow: "none", ticks: 5, tickFormat: (x: number) => percent(x, 0), labelOffset: 54 },
            marks: [
              Plot.gridX({ ticks: 5, strokeOpacity: 0.12 }),
              Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
              Plot.frame({ strokeOpacity: 0.5 }),
              Plot.link([0], { x1: 0, y1: 0, x2: 1, y2: 1, stroke: "currentColor", strokeOpacity: 0.45 }),
              Plot.ruleX(arm.calibration, { x: "predicted", y1: "low", y2: "high", stroke: stroke.color }),
              Plot.line(arm.calibration, { x: "predicted", y: "observed", stroke: stroke.color, strokeWidth: 1.6, strokeDasharray: stroke.dash }),
              Plot.dot(arm.calibration, { x: "predicted", y: "observed", r: 3.8, symbol: stroke.symbol, fill: stroke.color }),
            ],
          });
          return (
            <div class="panel" key={arm.name}>
              <h3>{name}</h3>
              <Chart label={label} draw={draw} max={340} />
            </div>
          );
        })}
      </div>
    </Figure>
  );
}

export type Series = "validation_auc" | "test_auc" | "train_loss";

interface RoundPoint {
  round: number;
  value: number;
  curve: string;
}

export function pointsOf(curve: RoundCurve, series: Series, name: string): RoundPoint[] {
  return curve.rounds.flatMap((round, i) => {
    const value = curve[series][i];
    return isNumber(value) ? [{ round, value, curve: name }] : [];
  });
}

// The mean over the rounds in which every curve has a value: further on it would be a mean of other, longer trainings.
export function meanOf(curves: RoundPoint[][]): { round: number; value: number }[] {
  const filled = curves.filter((c) => c.length > 0);
  const sums = new Map<number, { total: number; n: number }>();
  for (const point of filled.flat()) {
    const s = sums.get(point.round) ?? { total: 0, n: 0 };
    sums.set(point.round, { total: s.total + point.value, n: s.n + 1 });
  }
  return [...sums]
    .filter(([, s]) => s.n === filled.length)
    .map(([round, s]) => ({ round, value: s.total / s.n }))
    .sort((a, b) => a.round - b.round);
}

export function RoundsPanel(props: { arm: Arm; series: Series; domain: [number, number]; last: number; name: string }) {
  const t = useText();
  const { arm, series } = props;
  const stroke = strokeOf(arm.name);
  const curves = arm.by_round.map((c, i) => pointsOf(c, series, String(i)));
  const mean = meanOf(curves);
  const best = arm.by_round.flatMap((c, i) => curves[i]?.filter((p) => p.round === c.best_round) ?? []);
  const end = mean[mean.length - 1];
  const label = `${props.name}, ${t(texts[series])}: ${end ? `${t(texts.round)} ${end.round}, ${fixed(end.value, 3)}` : kNone}`;
  const draw = (width: number): Plot.PlotOptions => ({
    height: Math.min(230, Math.round(width * 0.8)),
    marginLeft: 44,
    marginBottom: 44,
    marginTop: 12,
    marginRight: 16,
    x: { domain: [0, props.last], label: t(texts.round), labelAnchor: "center", labelArrow: "none", ticks: 5, tickFormat: (x: number) => (Number.isInteger(x) ? String(x) : ""), labelOffset: 40 },
    y: { domain: props.domain, label: null, ticks: 5, nice: true },
    marks: [
      Plot.gridX({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.frame({ strokeOpacity: 0.5 }),
      Plot.line(curves.flat(), { x: "round", y: "value", z: "curve", stroke: stroke.color, strokeWidth: 0.9, strokeOpacity: 0.5 }),
      Plot.line(mean, { x: "round", y: "value", stroke: stroke.color, strokeWidth: 2.6 }),
      Plot.dot(best, { x: "round", y: "value", r: 3.5, stroke: "currentColor", fill: "var(--page)", strokeWidth: 1.2 }),
    ],
  });
  return (
    <div class="panel">
      <h3>{props.name}</h3>
      {curves.every((c) => c.length === 0) ? <p class="note">{kNone}</p> : <Chart label={label} draw={draw} max={420} />}
    </div>
  );
}

export function Rounds({ data }: { data: ReportData }) {
  const t = useText();
  const arms = data.arms.filter((a) => a.by_round.length > 0);
  if (arms.length === 0) {
    return (
      <p class="note">
        <T of={texts.none_yet} />
      </p>
    );
  }
  const last = Math.max(1, ...arms.flatMap((a) => a.by_round.flatMap((c) => c.rounds)));
  const all: Series[] = ["validation_auc", "train_loss", "test_auc"];
  return (
    <>
      {all.map((series) => {
        const values = arms.flatMap((a) => a.by_round.flatMap((c) => c[series])).filter(isNumber);
        if (values.length === 0) return null;
        const least = Math.min(...values);
        const most = Math.max(...values);
        const pad = Math.max(0.005, (most - least) * 0.05);
        return (
          <Figure
            key={series}
            title={fill(texts.rounds_title, { metric: texts[series] })}
            reading={
              series === "validation_auc"
                ? fill(texts.rounds_reading, { what: texts.rounds_what })
                : series === "test_auc"
                  ? texts.test_by_round_note
                  : texts.rounds_loss
            }
          >
            <div class="panels">
              {arms.map((arm) => (
                <RoundsPanel
                  key={arm.name}
                  arm={arm}
                  series={series}
                  domain={[least - pad, most + pad]}
                  last={last}
                  name={t(armName(arm.name))}
                />
              ))}
            </div>
          </Figure>
        );
      })}
    </>
  );
}

