// A forest plot: an estimate and its interval in each row, with the numbers beside it as medical journals print them.
import * as Plot from "@observablehq/plot";
import { Chart } from "./chart";
import { isNumber } from "./format";
import { strokeOf } from "./palette";
import type { Stroke } from "./palette";

export interface ForestRow {
  name: string;
  numbers: string;
  value: number | null;
  low: number | null;
  high: number | null;
  inner?: { low: number | null; high: number | null }; // drawn thick (the 90% interval of an equivalence test)
  band?: number; // half width of the shaded band in this row
  stroke?: Stroke;
}

export interface ForestProps {
  label: string;
  axis: string;
  rows: ForestRow[];
  zero?: boolean; // a vertical line at zero, which the axis then contains
  highest?: number; // the axis ends here at the latest
}

const kNarrow = 620;
const kNamesWidth = 170;
// Two signed numbers and their brackets in the widest of the usual typefaces.
const kNumbersWidth = 225;
// Keeps rules from running through the words.
const kHalo = { fill: "currentColor", stroke: "var(--page)", strokeWidth: 4 };

export function Forest({ label, axis, rows, zero, highest }: ForestProps) {
  const ends = rows
    .flatMap((r) => [r.value, r.low, r.high, r.inner?.low, r.inner?.high, r.band, r.band && -r.band])
    .filter(isNumber);
  if (zero) ends.push(0);
  if (ends.length === 0) return null;
  const least = Math.min(...ends);
  const most = Math.max(...ends);
  const pad = Math.max(0.005, (most - least) * 0.06);
  const domain: [number, number] = [least - pad, Math.min(highest ?? Infinity, most + pad)];
  const shown = rows.map((r, i) => ({ ...r, key: String(i), tone: r.stroke ?? strokeOf("") }));
  const draw = (width: number): Plot.PlotOptions => {
    const narrow = width < kNarrow;
    const step = narrow ? 52 : 38;
    // On a narrow page the names and numbers stand above the lines.
    const shift = narrow ? 11 : 0;
    const marks: Plot.Markish[] = [
      Plot.axisX({ label: axis, labelAnchor: "center", labelArrow: "none", ticks: narrow ? 4 : 7, labelOffset: 38 }),
      Plot.gridX({ ticks: narrow ? 4 : 7, strokeOpacity: 0.12 }),
    ];
    for (const r of shown) {
      const row = [r];
      if (isNumber(r.band)) {
        marks.push(
          Plot.rect(row, {
            x1: -r.band,
            x2: r.band,
            fy: "key",
            fill: "var(--band)",
            insetTop: narrow ? 24 : 4,
            insetBottom: 4,
          }),
        );
      }
      if (isNumber(r.low) && isNumber(r.high)) {
        marks.push(
          Plot.link(row, { x1: "low", x2: "high", y1: 0, y2: 0, fy: "key", dy: shift, stroke: r.tone.color, strokeWidth: 1.8 }),
          Plot.text(row, { x: "low", y: 0, fy: "key", dy: shift, text: () => "|", fontSize: 11, fill: r.tone.color }),
          Plot.text(row, { x: "high", y: 0, fy: "key", dy: shift, text: () => "|", fontSize: 11, fill: r.tone.color }),
        );
      }
      if (r.inner && isNumber(r.inner.low) && isNumber(r.inner.high)) {
        const { low, high } = r.inner;
        marks.push(
          Plot.link(row, { x1: low, x2: high, y1: 0, y2: 0, fy: "key", dy: shift, stroke: r.tone.color, strokeWidth: 5 }),
        );
      }
      if (isNumber(r.value)) {
        marks.push(
          Plot.dot(row, {
            x: "value",
            y: 0,
            fy: "key",
            dy: shift,
            r: 5.5,
            symbol: r.tone.symbol,
            fill: r.tone.color,
            stroke: "var(--page)",
            strokeWidth: 1.2,
          }),
        );
      }
      marks.push(
        Plot.text(row, {
          frameAnchor: "left",
          fy: "key",
          text: "name",
          textAnchor: "start",
          dx: narrow ? 0 : -kNamesWidth,
          dy: narrow ? -12 : 0,
          fontWeight: 600,
          ...kHalo,
        }),
        Plot.text(row, {
          frameAnchor: "right",
          fy: "key",
          text: "numbers",
          textAnchor: narrow ? "end" : "start",
          dx: narrow ? 0 : 14,
          dy: narrow ? -12 : 0,
          fontVariant: "tabular-nums",
          ...kHalo,
        }),
      );
    }
    if (zero) marks.push(Plot.ruleX([0], { stroke: "currentColor", strokeWidth: 1, insetTop: narrow ? 22 : 0 }));
    return {
      height: step * rows.length + 52,
      marginLeft: narrow ? 6 : kNamesWidth,
      marginRight: narrow ? 6 : kNumbersWidth,
      marginBottom: 44,
      marginTop: 4,
      x: { domain },
      y: { axis: null, domain: [-1, 1] },
      fy: { axis: null, domain: shown.map((r) => r.key), padding: 0 },
      marks,
    };
  };
  return <Chart label={label} draw={draw} />;
}
