// What each site has, as it agreed to say, and how the model does on its images.
import { Figure } from "../../kit/figure";
import { Forest } from "../../kit/forest";
import { count, fixed, isNumber, visible, withInterval } from "../../kit/format";
import { useText } from "../../kit/language";
import { strokeOf } from "../../kit/palette";
import { Table } from "../../kit/table";
import { kRunSiteStates, named } from "../../dashboard/labels";
import { EstimateCell, labelled, Name, short, SiteName, sum, summary, written } from "../shared";
import { texts } from "../texts";
import type { FederatedData } from "./data";
import { aucNameOf, kGiven } from "./result";
import { federatedTexts as f } from "./texts";

function Counts({ data }: { data: FederatedData }) {
  const t = useText();
  const classes = data.classes;
  const cells = (counts: { train: number[]; validation: number[]; test: number[] }, i: number) => [
    count(counts.train[i]),
    count(counts.validation[i]),
    count(counts.test[i]),
  ];
  return (
    <Table
      caption={f.counts_caption}
      note={f.counts_note}
      columns={[
        { title: t(texts.site) },
        { title: t(f.state) },
        { title: t(texts.class) },
        { title: t(texts.train), numeric: true },
        { title: t(texts.validation), numeric: true },
        { title: t(texts.test), numeric: true },
      ]}
      rows={data.sites.flatMap((site) => {
        const state = t(named(kRunSiteStates, site.state));
        if (site.train.length === 0) {
          return [{ head: <SiteName of={site.name} />, cells: [state, <span class="soft">{site.why ? visible(site.why) : t(f.not_told)}</span>, "", "", ""] }];
        }
        return classes.map((name, i) => ({
          head: i === 0 ? <SiteName of={site.name} /> : <span class="ditto">{visible(site.name)}</span>,
          cells: [i === 0 ? state : "", <Name of={name} />, ...cells(site, i)],
        }));
      })}
    />
  );
}

function SiteAucs({ data }: { data: FederatedData }) {
  const t = useText();
  const result = data.result;
  if (!result || !result.by_site.some((s) => isNumber(s.auc.value))) return null;
  const three = (x: number | null) => fixed(x, 3);
  const rows = [
    ...result.by_site.map((s) => ({ name: visible(s.site), estimate: s.auc, all: false })),
    { name: t(f.all_sites), estimate: result.auc, all: true },
  ];
  const parts = rows.map((r) => ({ name: { en: r.name, ja: r.name }, value: withInterval(r.estimate, three) }));
  return (
    <Figure title={texts.sites_auc_title} reading={f.sites_chart}>
      <Forest
        label={t(labelled(texts.sites_auc_title, summary(parts)))}
        axis={t(aucNameOf(data))}
        highest={1}
        rows={rows.map((r) => ({
          name: short(r.name, 20),
          numbers: t(withInterval(r.estimate, three)),
          ...r.estimate,
          stroke: r.all ? { ...strokeOf("federated"), symbol: "square" as const } : strokeOf("federated"),
        }))}
      />
    </Figure>
  );
}

export function Sites({ data }: { data: FederatedData }) {
  const t = useText();
  const binary = data.positive !== null;
  const result = data.result;
  return (
    <>
      <Counts data={data} />
      <SiteAucs data={data} />
      {result && (
        <Table
          caption={f.sites_caption}
          note={result.method === "scores" ? null : f.sites_note}
          columns={[
            { title: t(texts.site) },
            { title: t(texts.test_images), numeric: true },
            { title: t(aucNameOf(data)), numeric: true },
            ...(binary ? [{ title: t({ en: "Sensitivity", ja: "感度" }), numeric: true }, { title: t({ en: "Specificity", ja: "特異度" }), numeric: true }] : []),
            { title: t(texts.accuracy), numeric: true },
            { title: t(f.sent_by_site) },
          ]}
          rows={result.by_site.map((s) => ({
            head: <SiteName of={s.site} />,
            cells: [
              count(s.given === "metrics" ? s.tested : sum(s.images)),
              <EstimateCell of={s.auc} write={written("auc")} />,
              ...(binary
                ? [
                    <EstimateCell of={s.sensitivity} write={written("sensitivity")} />,
                    <EstimateCell of={s.specificity} write={written("specificity")} />,
                  ]
                : []),
              <EstimateCell of={s.accuracy} write={written("accuracy")} />,
              t(kGiven[s.given]),
            ],
          }))}
        />
      )}
    </>
  );
}
