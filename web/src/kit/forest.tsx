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
// On a narrow page each row is a name, its numbers on a line of their own below (beside each other the two would meet),
// and the drawing below both; half a tick's label has room at either end of the axis.
const kNarrowStep = 82;
const kNarrowTop = 42;
const kNarrowSide = 22;

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
    const step = narrow ? kNarrowStep : 38;
    // Nothing is drawn where the words stand.
    const insetTop = narrow ? kNarrowTop : 0;
    const insetBottom = narrow ? 6 : 0;
    const shift = (insetTop - insetBottom) / 2;
    const marks: Plot.Markish[] = [
      Plot.axisX({ label: axis, labelAnchor: "center", labelArrow: "none", ticks: narrow ? 4 : 7, labelOffset: 38 }),
      Plot.gridX({ ticks: narrow ? 4 : 7, strokeOpacity: 0.12, insetTop, insetBottom }),
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
            insetTop: insetTop + 4,
            insetBottom: insetBottom + 4,
          }),
        );
      }
    }
    if (zero) marks.push(Plot.ruleX([0], { stroke: "currentColor", strokeWidth: 1, insetTop, insetBottom }));
    for (const r of shown) {
      const row = [r];
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
          frameAnchor: narrow ? "top-left" : "left",
          fy: "key",
          text: "name",
          textAnchor: "start",
          dx: narrow ? -kNarrowSide : -kNamesWidth,
          dy: narrow ? 6 : 0,
          fontWeight: 600,
        }),
        Plot.text(row, {
          frameAnchor: narrow ? "top-left" : "right",
          fy: "key",
          text: "numbers",
          textAnchor: "start",
          dx: narrow ? -kNarrowSide : 14,
          dy: narrow ? 24 : 0,
          fontVariant: "tabular-nums",
        }),
      );
    }
    return {
      height: step * rows.length + 52,
      marginLeft: narrow ? kNarrowSide : kNamesWidth,
      marginRight: narrow ? kNarrowSide : kNumbersWidth,
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
