// The report as one page.
import { Fragment } from "preact";
import type { Embedded } from "../kit/embedded";
import { visible } from "../kit/format";
import { fill, LanguageProvider, LanguageSwitch, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { Guard } from "../kit/section";
import type { SectionEntry } from "../kit/section";
import type { ReportData } from "./data";
import type { FederatedData } from "./federated/data";
import { FederatedReport } from "./federated/page";
import { Frame } from "./frame";
import { Compared, Conclusions, MainResult, Warnings } from "./sections/answers";
import { Confusion, Mistakes } from "./sections/mistakes";
import { Calibration, Metrics, Roc, Rounds } from "./sections/performance";
import { Cells, Images, Methods, Protocol, Times } from "./sections/record";
import { Sites } from "./sections/sites";
import { texts } from "./texts";
import { comparisonName, titleNames, titleText } from "./title";

function sectionsOf(data: ReportData): SectionEntry[] {
  return [
    { id: "conclusion", title: texts.section_conclusion, body: <Conclusions data={data} /> },
    { id: "result", title: texts.section_auc, body: <MainResult data={data} /> },
    { id: "warnings", title: texts.section_warnings, body: <Warnings data={data} /> },
    { id: "measures", title: texts.section_metrics, body: <Metrics data={data} /> },
    { id: "roc", title: texts.section_roc, body: <Roc data={data} /> },
    { id: "calibration", title: texts.section_calibration, body: <Calibration data={data} /> },
    { id: "training", title: texts.section_rounds, body: <Rounds data={data} /> },
    { id: "sites", title: texts.section_sites, body: <Sites data={data} /> },
    { id: "confusion", title: texts.section_confusion, body: <Confusion data={data} /> },
    { id: "mistakes", title: texts.section_mistakes, body: <Mistakes data={data} /> },
    { id: "experiments", title: texts.section_cells, body: <Cells data={data} /> },
    { id: "images", title: texts.section_data, body: <Images data={data} /> },
    { id: "times", title: texts.section_times, body: <Times data={data} /> },
    { id: "protocol", title: texts.section_protocol, body: <Protocol data={data} /> },
    { id: "methods", title: texts.section_methods, body: <Methods data={data} /> },
  ];
}

// The title with each name isolated; document.title has it as plain text.
function Heading({ data }: { data: ReportData }) {
  const t = useText();
  const names = titleNames(data);
  return (
    <>
      {t(comparisonName(data))}
      {names.map((name, i) => (
        <Fragment key={i}>
          {t(i === 0 ? { en: ": ", ja: "：" } : { en: ", ", ja: "、" })}
          <bdi>{name}</bdi>
        </Fragment>
      ))}
    </>
  );
}

function Report({ data }: { data: ReportData }) {
  return (
    <>
      {data.synthetic && (
        <p class="banner" role="note">
          <T of={texts.synthetic} />
        </p>
      )}
      <Frame
        title={titleText(data)}
        kind={texts.page_title}
        heading={<Heading data={data} />}
        made={data}
        lead={<Compared data={data} />}
        sections={sectionsOf(data)}
      />
    </>
  );
}

// What the program puts into the page: a study's report or a run's.
export type AnyReport = ReportData | FederatedData;

function isFederated(data: AnyReport): data is FederatedData {
  return "kind" in data && data.kind === "federated_run";
}

function problemOf(embedded: Exclude<Embedded<AnyReport>, { kind: "data" }>): Text {
  switch (embedded.kind) {
    case "empty":
      return texts.empty;
    case "broken":
      return fill(texts.broken, { why: visible(embedded.why) });
    case "format":
      return fill(texts.other_format, { format: visible(JSON.stringify(embedded.format) ?? "–") });
  }
}

export function Page({ embedded }: { embedded: Embedded<AnyReport> }) {
  return (
    <LanguageProvider>
      {(language, choose) => (
        <>
          <div class="bar">
            <button type="button" onClick={() => window.print()}>
              <T of={texts.print} />
            </button>
            <LanguageSwitch language={language} choose={choose} />
          </div>
          {embedded.kind === "data" ? (
            <Guard>
              {isFederated(embedded.data) ? <FederatedReport data={embedded.data} /> : <Report data={embedded.data} />}
            </Guard>
          ) : (
            <main class="problem">
              <p role="alert">
                <T of={problemOf(embedded)} />
              </p>
            </main>
          )}
        </>
      )}
    </LanguageProvider>
  );
}
