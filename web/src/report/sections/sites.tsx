// What each site has, and how each arm does on its images.
import * as Plot from "@observablehq/plot";
import { Chart } from "../../kit/chart";
import { Figure } from "../../kit/figure";
import { count, fixed, isNumber, visible, withInterval } from "../../kit/format";
import { useText } from "../../kit/language";
import type { Text } from "../../kit/language";
import { strokeOf } from "../../kit/palette";
import { Table } from "../../kit/table";
import type { ReportData } from "../data";
import { armName } from "../labels";
import { ArmLegend, EstimateCell, labelled, Name, short, SiteName, sum, summary, written } from "../shared";
import { texts } from "../texts";

function whyUndefined(images: number[]): Text | null {
  if (sum(images) === 0) return texts.dash_no_images;
  return images.filter((n) => n > 0).length < 2 ? texts.dash_one_class : null;
}

// A name that stands in the row above already: for screen readers alone.
function Again({ of }: { of: string }) {
  return <span class="ditto">{visible(of)}</span>;
}

function Counts({ data }: { data: ReportData }) {
  const t = useText();
  return (
    <Table
      caption={texts.sites_counts_caption}
      note={texts.sites_counts_note}
      columns={[
        { title: t(texts.site) },
        { title: t(texts.class) },
        { title: t(texts.train), numeric: true },
        { title: t(texts.validation), numeric: true },
        { title: t(texts.test), numeric: true },
      ]}
      rows={data.data.sites.flatMap((site) => [
        ...data.data.classes.map((name, i) => ({
          head: i === 0 ? <SiteName of={site.name} /> : <Again of={site.name} />,
          cells: [<Name of={name} />, count(site.train[i]), count(site.validation[i]), count(site.test[i])],
        })),
        {
          head: <Again of={site.name} />,
          strong: true,
          cells: [t(texts.total), count(sum(site.train)), count(sum(site.validation)), count(sum(site.test))],
        },
      ])}
    />
  );
}

interface SitePoint {
  site: string; // position: names may be alike
  arm: string;
  value: number | null;
  low: number | null;
  high: number | null;
}

function SiteChart({ data }: { data: ReportData }) {
  const t = useText();
  const arms = data.arms.filter((a) => a.by_site.length > 0);
  const names = [...new Set(arms.flatMap((a) => a.by_site.map((s) => s.site)))];
  const points: SitePoint[] = arms.flatMap((a) =>
    a.by_site.map((s) => ({ site: String(names.indexOf(s.site)), arm: a.name, ...s.auc })),
  );
  const ends = points.flatMap((p) => [p.value, p.low, p.high]).filter(isNumber);
  if (ends.length === 0) return null;
  const least = Math.min(...ends);
  const parts = arms.flatMap((a) =>
    a.by_site.map((s) => {
      const name = { en: `${armName(a.name).en}, ${visible(s.site)}`, ja: `${armName(a.name).ja} ${visible(s.site)}` };
      return { name, value: withInterval(s.auc, (x) => fixed(x, 3)) };
    }),
  );
  const draw = (width: number): Plot.PlotOptions => {
    const narrow = width < 560;
    const marks: Plot.Markish[] = [Plot.gridX({ ticks: narrow ? 4 : 7, strokeOpacity: 0.12 })];
    for (const arm of arms) {
      const stroke = strokeOf(arm.name);
      const row = points.filter((p) => p.arm === arm.name);
      const whole = row.filter((p) => isNumber(p.low) && isNumber(p.high));
      marks.push(
        Plot.link(whole, { fy: "site", y1: "arm", y2: "arm", x1: "low", x2: "high", stroke: stroke.color, strokeWidth: 1.6 }),
        Plot.dot(row.filter((p) => isNumber(p.value)), { fy: "site", y: "arm", x: "value", r: 4.6, symbol: stroke.symbol, fill: stroke.color }),
      );
    }
    marks.push(
      Plot.text(names.map((_, i) => String(i)), {
        fy: (i: string) => i,
        frameAnchor: narrow ? "top-left" : "left",
        textAnchor: "start",
        dx: narrow ? -22 : -170,
        dy: narrow ? -14 : 0,
        fontWeight: 600,
        text: (i: string) => short(names[Number(i)]),
      }),
    );
    return {
      height: names.length * (narrow ? 84 : 66) + 56,
      marginLeft: narrow ? 22 : 170,
      marginRight: 22,
      marginBottom: 44,
      marginTop: narrow ? 22 : 4,
      x: { domain: [least - 0.01, Math.min(1, Math.max(...ends) + 0.01)], label: t(texts.auc), labelAnchor: "center", labelArrow: "none", ticks: narrow ? 4 : 7, labelOffset: 38 },
      y: { axis: null, domain: arms.map((a) => a.name), type: "point", padding: 0.6 },
      fy: { axis: null, domain: names.map((_, i) => String(i)), padding: narrow ? 0.3 : 0.12 },
      marks,
    };
  };
  return (
    <Figure title={texts.sites_auc_title} reading={texts.sites_auc_reading} legend={<ArmLegend arms={arms} />}>
      <Chart label={t(labelled(texts.sites_auc_title, summary(parts)))} draw={draw} />
    </Figure>
  );
}

export function Sites({ data }: { data: ReportData }) {
  const t = useText();
  const rows = data.arms.flatMap((a) => a.by_site.map((s) => ({ arm: a, ...s })));
  const names = [...new Set(rows.map((r) => r.site))];
  const inOrder = names.flatMap((name) => rows.filter((r) => r.site === name));
  return (
    <>
      <Counts data={data} />
      <SiteChart data={data} />
      {rows.length > 0 && (
        <Table
          caption={texts.sites_result_caption}
          columns={[
            { title: t(texts.site) },
            { title: t(texts.arm) },
            { title: t(texts.test_images), numeric: true },
            { title: t(texts.auc), numeric: true },
            { title: t(texts.accuracy), numeric: true },
          ]}
          rows={inOrder.map((r, i) => ({
            head: inOrder[i - 1]?.site === r.site ? <Again of={r.site} /> : <SiteName of={r.site} />,
            cells: [
              <span class="keep">{t(armName(r.arm.name))}</span>,
              count(sum(r.images)),
              <EstimateCell of={r.auc} write={written("auc")} why={whyUndefined(r.images)} />,
              <EstimateCell of={r.accuracy} write={written("accuracy")} />,
            ],
          }))}
        />
      )}
    </>
  );
}
