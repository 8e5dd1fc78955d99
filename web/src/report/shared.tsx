// What several sections of the report share.
import { Legend } from "../kit/figure";
import { fixed, imageData, isNumber, kNone, list, percent, range, visible } from "../kit/format";
import { fill, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { strokeOf } from "../kit/palette";
import type { Arm, Estimate, ReportData } from "./data";
import { armName, isRate } from "./labels";
import { texts } from "./texts";

export { imageData, list };

// Strings from the data: isolated, so that a name written from right to left does not turn its surroundings around.
export function Name({ of }: { of: unknown }) {
  return <bdi>{visible(of)}</bdi>;
}

// In a table's cell. A short one ("site-1") keeps to its line; a long one may wrap.
export function SiteName({ of }: { of: string }) {
  const name = visible(of);
  return [...name].length <= 10 ? (
    <span class="keep">
      <Name of={name} />
    </span>
  ) : (
    <Name of={name} />
  );
}

export function aucName(data: ReportData): Text {
  return data.protocol.primary_metric === "macro_auc" ? texts.macro_auc : texts.auc;
}

export function isMacro(data: ReportData): boolean {
  return data.protocol.primary_metric === "macro_auc";
}

export function written(key: string): (x: number | null) => string {
  return isRate(key) ? (x) => percent(x, 1) : (x) => fixed(x, 3);
}

// The value with its interval on a second line; a dash, with the reason where there is one.
export function EstimateCell(props: { of: Estimate | undefined; write: (x: number | null) => string; why?: Text | null }) {
  const t = useText();
  const e = props.of;
  if (!e || !isNumber(e.value)) {
    return (
      <>
        {kNone}
        {props.why && <small class="interval">{t(props.why)}</small>}
      </>
    );
  }
  // "87.4%" over "84.2 to 90.3": the unit once, which three columns on a phone have no room to say thrice.
  const bare = (x: number | null) => props.write(x).replace("%", "");
  return (
    <>
      {props.write(e.value)}
      {isNumber(e.low) && isNumber(e.high) && (
        <small class="interval">{t(range(e.low, e.high, bare))}</small>
      )}
    </>
  );
}

export function ArmLegend({ arms }: { arms: Arm[] }) {
  const t = useText();
  return <Legend entries={arms.map((a) => ({ stroke: strokeOf(a.name), name: t(armName(a.name)) }))} />;
}

// "Pooled: 0.934 (0.911 to 0.955); ..." for screen readers.
export function summary(parts: { name: Text; value: Text }[]): Text {
  return {
    en: parts.map((p) => `${p.name.en}: ${p.value.en}`).join("; "),
    ja: parts.map((p) => `${p.name.ja}：${p.value.ja}`).join("、"),
  };
}

export function labelled(title: Text, parts: Text): Text {
  return fill({ en: "{title} {parts}", ja: "{title}{parts}" }, { title, parts });
}

// A name short enough for a chart's axis.
export function short(name: unknown, length = 24): string {
  const characters = [...visible(name)];
  return characters.length <= length ? characters.join("") : `${characters.slice(0, length - 1).join("")}…`;
}

export function sum(counts: number[]): number {
  return counts.reduce((a, b) => a + b, 0);
}

export function anyStopped(data: ReportData): boolean {
  return data.arms.some((a) => a.stopped.length > 0);
}
