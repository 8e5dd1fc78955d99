// The conclusion, what to know before believing it, what was trained, and all measures.
import { count, dateTime, fixed, isNumber, kNone, percent, range, visible, withInterval } from "../../kit/format";
import { fill, sentences, T, useText } from "../../kit/language";
import type { Text } from "../../kit/language";
import { Table } from "../../kit/table";
import type { Estimate } from "../data";
import { metricName } from "../labels";
import { sum, written } from "../shared";
import { texts } from "../texts";
import { kRunStates, named } from "../../dashboard/labels";
import type { FederatedData, Given, Result } from "./data";
import { federatedTexts as f } from "./texts";

const three = (x: number | null) => fixed(x, 3);

export function aucNameOf(data: FederatedData): Text {
  return metricName(data.positive === null ? "macro_auc" : "auc");
}

export const kGiven: Record<Given, Text> = { scores: f.given_scores, histograms: f.given_histograms, metrics: f.given_metrics };

function fromWhat(result: Result): Text {
  switch (result.method) {
    case "scores":
      return f.from_scores;
    case "histograms":
      return fill(f.from_histograms, { bins: count(result.bins) });
    default:
      return f.from_metrics;
  }
}

export function Conclusion({ data }: { data: FederatedData }) {
  const result = data.result;
  const auc = result?.auc;
  const known = !!auc && isNumber(auc.value);
  const whole = known && isNumber(auc.low) && isNumber(auc.high);
  const above = whole && auc.low! > 0.5;
  const verdict = known ? fill(f.verdict, { metric: aucNameOf(data), auc: withInterval(auc, three) }) : f.verdict_none;
  const explanation =
    result && known
      ? sentences(
          fill(f.verdict_explained, {
            round: result.round,
            images: count(result.tested),
            sites: result.by_site.length,
            interval: whole ? f.interval_explained : f.no_interval_explained,
          }),
          whole && (above ? f.above_chance : f.at_chance),
        )
      : result
        ? f.verdict_undefined_explained
        : f.verdict_none_explained;
  return (
    <>
      <div class={`answer answer-${above ? "shown" : "open"}`}>
        <h3>
          <T of={f.question} />
        </h3>
        <p class="verdict">
          <T of={verdict} />
        </p>
        <p>
          <T of={explanation} />
        </p>
      </div>
      {result && (
        <ul class="scope">
          <li>
            <T of={fromWhat(result)} />
          </li>
          <li>
            <T of={fill(data.run.chosen ? f.scope_chosen : f.scope_last, { round: result.round })} />
          </li>
          <li>
            <T of={f.scope_patients} />
          </li>
          <li>
            <T of={f.scope_compare} />
          </li>
        </ul>
      )}
    </>
  );
}

export function Notices({ data }: { data: FederatedData }) {
  const t = useText();
  if (data.warnings.length === 0) {
    return (
      <p>
        <T of={texts.warnings_none} />
      </p>
    );
  }
  return (
    <ul class="warnings">
      {data.warnings.map((w, i) => (
        <li key={i}>{visible(t(w))}</li>
      ))}
    </ul>
  );
}

export function Facts({ data }: { data: FederatedData }) {
  const t = useText();
  const run = data.run;
  const when = (iso: string) => (iso === "" ? kNone : t(dateTime(iso)));
  return (
    <Table
      class="facts"
      caption={f.facts_caption}
      columns={[{ title: t(texts.setting) }, { title: t(texts.value) }]}
      rows={[
        { head: t(f.federation), cells: [<bdi>{visible(run.federation)}</bdi>] },
        { head: t(f.run), cells: [<bdi>{visible(run.id)}</bdi>] },
        { head: t(f.state), cells: [t(named(kRunStates, run.state)) + (run.why ? `: ${visible(run.why)}` : "")] },
        { head: t(f.started), cells: [when(run.started)] },
        { head: t(f.finished), cells: [when(run.finished)] },
        {
          head: t(f.rounds_done),
          cells: [run.rounds > 0 ? t(fill(f.rounds_of, { round: run.round, rounds: run.rounds })) : run.round],
        },
        { head: t(f.model_of_round), cells: [run.best_round >= 0 ? run.best_round : kNone] },
        { head: t(f.sent), cells: [t(data.result ? kGiven[data.result.method] : kGiven[run.report] ?? f.given_metrics)] },
      ]}
    />
  );
}

export function measureName(key: string): Text {
  return key === "accuracy_at_half" ? f.accuracy_at_half : metricName(key);
}

export function Measures({ data }: { data: FederatedData }) {
  const t = useText();
  const result = data.result;
  if (!result) {
    return (
      <p class="note">
        <T of={f.verdict_none_explained} />
      </p>
    );
  }
  const row = (name: Text, e: Estimate, key: string, strong = false) => {
    const write = written(key === "accuracy_at_half" ? "accuracy" : key);
    return { head: t(name), strong, cells: [write(e.value), t(range(e.low, e.high, write))] };
  };
  const positives = data.positive === null ? null : (result.images[data.positive] ?? 0);
  const prevalence = positives !== null && sum(result.images) > 0 ? percent(positives / sum(result.images)) : kNone;
  const note = isNumber(result.threshold)
    ? fill(result.threshold_chosen ? f.measures_note : f.measures_note_half, { threshold: fixed(result.threshold, 3), prevalence })
    : null;
  return (
    <Table
      class="metrics"
      caption={f.measures_caption}
      note={note}
      columns={[{ title: t(texts.measure) }, { title: t(texts.value), numeric: true }, { title: t(f.interval), numeric: true }]}
      rows={[
        row(aucNameOf(data), result.auc, "auc", true),
        ...result.metrics.map((m) => row(measureName(m.key), m.estimate, m.key)),
        { head: t(f.loss), cells: [fixed(result.loss, 3), kNone] },
      ]}
    />
  );
}
