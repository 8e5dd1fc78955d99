// The course of training, the sites' own models, the agreement and the statistical methods.
import { Figure } from "../../kit/figure";
import { count, duration, fixed, isNumber, list, visible } from "../../kit/format";
import { fill, T, useText } from "../../kit/language";
import { Folding } from "../../kit/section";
import { Table } from "../../kit/table";
import { protocolName } from "../labels";
import { usedMethods } from "../methods";
import { RoundsPanel } from "../sections/performance";
import type { Series } from "../sections/performance";
import { EstimateCell, Name, SiteName, written } from "../shared";
import { texts } from "../texts";
import { asReport } from "./adapt";
import type { FederatedData } from "./data";
import { federatedTexts as f } from "./texts";

function Curves({ data }: { data: FederatedData }) {
  const t = useText();
  const arm = asReport(data).arms[0]!;
  const last = Math.max(1, ...data.rounds.map((r) => r.round));
  const all: Series[] = ["validation_auc", "test_auc", "train_loss"];
  const domain = (of: Series[]): [number, number] => {
    const values = data.rounds.flatMap((r) => of.map((s) => r[s])).filter(isNumber);
    const least = Math.min(...values);
    const most = Math.max(...values);
    const pad = Math.max(0.005, (most - least) * 0.05);
    return values.length > 0 ? [least - pad, most + pad] : [0, 1];
  };
  return (
    <Figure title={f.curves_title} reading={f.curves_reading}>
      <div class="panels">
        {all.map((series) => (
          <RoundsPanel
            key={series}
            arm={arm}
            series={series}
            domain={domain(series === "train_loss" ? [series] : ["validation_auc", "test_auc"])}
            last={last}
            name={t(texts[series])}
          />
        ))}
      </div>
    </Figure>
  );
}

export function RoundBooks({ data }: { data: FederatedData }) {
  const t = useText();
  const known = data.rounds.some((r) => isNumber(r.validation_auc) || isNumber(r.test_auc) || isNumber(r.train_loss));
  const table = (
    <Table
      caption={f.rounds_caption}
      columns={[
        { title: t(texts.round), numeric: true },
        { title: t(f.time), numeric: true },
        { title: t(f.asked), numeric: true },
        { title: t(f.answered), numeric: true },
        { title: t(f.refused), numeric: true },
        { title: t(f.failed), numeric: true },
        { title: t(f.late), numeric: true },
        { title: t(f.visits), numeric: true },
        { title: t(texts.train_loss), numeric: true },
        { title: t(texts.validation_auc), numeric: true },
        { title: t(texts.test_auc), numeric: true },
      ]}
      rows={data.rounds.map((r) => ({
        strong: r.round === data.run.best_round,
        cells: [
          r.round,
          t(duration(r.seconds)),
          r.asked,
          r.answered,
          r.refused,
          r.failed,
          r.late,
          count(r.visits),
          fixed(r.train_loss, 3),
          fixed(r.validation_auc, 3),
          fixed(r.test_auc, 3),
        ],
      }))}
    />
  );
  if (data.rounds.length === 0) {
    return (
      <p class="note">
        <T of={f.verdict_none_explained} />
      </p>
    );
  }
  return (
    <>
      {known && <Curves data={data} />}
      <Folding summary={f.section_rounds} open={data.rounds.length <= 30}>
        {table}
      </Folding>
    </>
  );
}

export function Cross({ data }: { data: FederatedData }) {
  const t = useText();
  const cross = data.cross_site;
  if (!cross) {
    return (
      <p class="note">
        <T of={f.cross_none} />
      </p>
    );
  }
  const global = data.result;
  return (
    <Table
      class="matrix"
      caption={f.cross_caption}
      note={f.cross_note}
      columns={[{ title: t(f.trained_at) }, ...cross.sites.map((s) => ({ title: <SiteName of={s} />, numeric: true }))]}
      rows={[
        ...cross.trained_by.map((trainer) => ({
          head: <SiteName of={trainer} />,
          cells: cross.sites.map((site) => (
            <EstimateCell of={cross.cells.find((c) => c.trained_by === trainer && c.site === site)?.auc} write={written("auc")} />
          )),
        })),
        ...(global
          ? [
              {
                head: t(f.global_model),
                strong: true,
                cells: cross.sites.map((site) => (
                  <EstimateCell of={global.by_site.find((s) => s.site === site)?.auc} write={written("auc")} />
                )),
              },
            ]
          : []),
      ]}
    />
  );
}

export function Agreement({ data }: { data: FederatedData }) {
  const t = useText();
  return (
    <>
      <Table
        class="facts"
        caption={f.protocol_caption}
        columns={[{ title: t(texts.setting) }, { title: t(texts.value) }]}
        rows={data.protocol.map((r) => ({ head: <bdi>{t(protocolName(r.key))}</bdi>, cells: [<Name of={r.value} />] }))}
      />
      <Folding summary={texts.config}>
        <pre tabIndex={0}>{data.config_toml.split("\n").map(visible).join("\n")}</pre>
      </Folding>
    </>
  );
}

export function Methods({ data }: { data: FederatedData }) {
  return (
    <>
      <p>
        <T of={texts.methods_reading} />
      </p>
      <ul class="methods">
        {usedMethods(asReport(data)).map(({ id, method, used }) => (
          <li key={id}>
            {method ? <T of={method.what} /> : <code>{id}</code>}{" "}
            <T of={fill(texts.methods_used_for, { what: { en: list(used.map((u) => u.en)).en, ja: list(used.map((u) => u.ja)).ja } })} />
            {method && <cite>{method.reference}</cite>}
          </li>
        ))}
      </ul>
    </>
  );
}
