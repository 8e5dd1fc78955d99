// A federation's run as one page.
import { list, visible } from "../../kit/format";
import { fill, sentences, T } from "../../kit/language";
import type { SectionEntry } from "../../kit/section";
import { Frame } from "../frame";
import { Calibration, Roc } from "../sections/performance";
import { Confusion } from "../sections/mistakes";
import { texts } from "../texts";
import { asReport } from "./adapt";
import type { FederatedData } from "./data";
import { Conclusion, Facts, Measures, Notices } from "./result";
import { Agreement, Cross, Methods, RoundBooks } from "./record";
import { Sites } from "./sites";
import { federatedTexts as f } from "./texts";

function sectionsOf(data: FederatedData): SectionEntry[] {
  const report = asReport(data);
  const bins = data.result?.method === "histograms";
  return [
    { id: "conclusion", title: texts.section_conclusion, body: <Conclusion data={data} /> },
    { id: "warnings", title: texts.section_warnings, body: <Notices data={data} /> },
    { id: "run", title: f.section_model, body: <Facts data={data} /> },
    { id: "measures", title: texts.section_metrics, body: <Measures data={data} /> },
    { id: "sites", title: texts.section_sites, body: <Sites data={data} /> },
    { id: "training", title: texts.section_rounds, body: <RoundBooks data={data} /> },
    { id: "roc", title: texts.section_roc, body: <Roc data={report} reading={bins ? f.roc_reading_bins : f.roc_reading} none={f.not_from_these} /> },
    { id: "calibration", title: texts.section_calibration, body: <Calibration data={report} none={f.not_from_these} /> },
    { id: "confusion", title: texts.section_confusion, body: <Confusion data={report} reading={f.confusion_reading} none={f.not_from_these} /> },
    { id: "cross", title: f.section_cross, body: <Cross data={data} /> },
    { id: "protocol", title: texts.section_protocol, body: <Agreement data={data} /> },
    { id: "methods", title: texts.section_methods, body: <Methods data={data} /> },
  ];
}

function Lead({ data }: { data: FederatedData }) {
  const run = data.run;
  const took = data.sites.filter((s) => s.train.length > 0).length;
  const positive = data.positive === null ? undefined : data.classes[data.positive];
  const lead = sentences(
    fill(f.what, { sites: took, federation: visible(run.federation), rounds: run.round }),
    data.classes.length > 0 && fill(f.what_classes, { names: list(data.classes.map(visible)) }),
    positive !== undefined && fill(f.what_positive, { positive: visible(positive) }),
  );
  return (
    <div class="compared">
      <p>
        <T of={lead} />
      </p>
    </div>
  );
}

export function FederatedReport({ data }: { data: FederatedData }) {
  const name = visible(data.run.name || data.run.id);
  return (
    <Frame
      title={fill(f.title, { name })}
      kind={f.kind}
      heading={<bdi>{name}</bdi>}
      made={data}
      lead={<Lead data={data} />}
      sections={sectionsOf(data)}
    />
  );
}
