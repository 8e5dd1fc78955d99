// The record: every experiment's result, the images, times, the protocol, and the statistical methods.
import { count, duration, fixed, isNumber, kNone, list, pValue, signed, visible } from "../../kit/format";
import { fill, T, useText } from "../../kit/language";
import type { Text } from "../../kit/language";
import { Folding } from "../../kit/section";
import { Table } from "../../kit/table";
import type { Comparison, ReportData } from "../data";
import { armName, protocolName } from "../labels";
import { usedMethods } from "../methods";
import { EstimateCell, Name, SiteName, sum } from "../shared";
import { texts } from "../texts";

const kManyRows = 12;

// "p = 0.03" without its "p = ", for a column that is named p.
function p(value: number | null): string {
  return pValue(value).replace(/^p\s(=\s)?/, "");
}

function Pair({ of, folds }: { of: Comparison; folds: boolean }) {
  const t = useText();
  const a = armName(of.a);
  const b = armName(of.b);
  const difference = (x: number | null) => signed(x, 3);
  return (
    <Table
      caption={fill(texts.cells_pair_caption, { a, b })}
      class="cells"
      columns={[
        { title: t(texts.repeat) },
        ...(folds ? [{ title: t(texts.fold), numeric: true }] : []),
        { title: t(a), numeric: true },
        { title: t(b), numeric: true },
        { title: t(texts.difference), numeric: true },
        { title: t(texts.p), numeric: true },
      ]}
      rows={[
        ...of.by_cell.map((c) => ({
          head: c.repeat,
          cells: [
            ...(folds ? [c.fold] : []),
            fixed(c.a, 3),
            fixed(c.b, 3),
            <EstimateCell
              of={{ value: c.difference, low: c.low, high: c.high, method: "" }}
              write={difference}
            />,
            p(c.p_value),
          ],
        })),
        // Of one experiment the whole says nothing that its row does not.
        ...(of.by_cell.length > 1
          ? [
              {
                head: t(texts.overall),
                strong: true,
                cells: [
                  ...(folds ? [""] : []),
                  "",
                  "",
                  <EstimateCell of={of.difference} write={difference} />,
                  p(of.p_value),
                ],
              },
            ]
          : []),
      ]}
    />
  );
}

export function Cells({ data }: { data: ReportData }) {
  const t = useText();
  const models = data.cells.flatMap((cell) => cell.auc.map((m) => ({ cell, ...m })));
  const folds = data.protocol.folds > 1;
  const pairs = data.comparisons.filter((c) => c.by_cell.length > 0);
  const tables = pairs.map((c, i) => <Pair key={i} of={c} folds={folds} />);
  const all = (
    <Table
      caption={texts.cells_models_caption}
      columns={[
        { title: t(texts.repeat) },
        ...(folds ? [{ title: t(texts.fold), numeric: true }] : []),
        { title: t(texts.seed) },
        { title: t(texts.arm) },
        { title: t(texts.site) },
        { title: "AUC", numeric: true },
        { title: t(texts.kept_round), numeric: true },
      ]}
      rows={models.map((m) => ({
        head: m.cell.repeat,
        cells: [
          ...(folds ? [m.cell.fold] : []),
          <Name of={m.cell.seed} />,
          <span class="keep">{t(armName(m.arm))}</span>,
          m.site ? <SiteName of={m.site} /> : kNone,
          fixed(m.value, 3),
          m.best_round,
        ],
      }))}
    />
  );
  if (pairs.length === 0 && models.length === 0) {
    return (
      <p class="note">
        <T of={texts.none_yet} />
      </p>
    );
  }
  return (
    <>
      <p>
        <T of={texts.cells_reading} />
      </p>
      {tables}
      {models.length > 0 && (
        <Folding summary={texts.cells_all_models} open={models.length <= kManyRows}>
          {all}
        </Folding>
      )}
    </>
  );
}

const kSplits: Record<string, Text> = {
  train: texts.train,
  validation: texts.validation,
  test: texts.test,
};

export function Images({ data }: { data: ReportData }) {
  const t = useText();
  const d = data.data;
  const facts: Text[] = [
    isNumber(d.patients)
      ? fill(texts.data_patients, { images: count(d.images), patients: count(d.patients) })
      : fill(texts.data_no_patients, { images: count(d.images) }),
    d.test_given ? texts.data_test_given : texts.data_test_drawn,
    d.duplicates.groups > 0
      ? fill(texts.data_duplicates, {
          groups: count(d.duplicates.groups),
          images: count(d.duplicates.images),
          moved: count(d.duplicates.moved),
          conflicting: count(d.duplicates.conflicting),
        })
      : texts.data_no_duplicates,
    d.bad.count > 0 ? fill(texts.data_bad, { count: count(d.bad.count) }) : texts.data_no_bad,
  ];
  return (
    <>
      <ul>
        {facts.map((f, i) => (
          <li key={i}>
            <T of={f} />
          </li>
        ))}
      </ul>
      <Table
        caption={texts.splits_caption}
        columns={[
          { title: t(texts.use) },
          ...d.classes.map((name) => ({ title: <Name of={name} />, numeric: true })),
          { title: t(texts.total), numeric: true },
          { title: t(texts.patients), numeric: true },
        ]}
        rows={d.splits.map((s) => ({
          head: t(kSplits[s.name] ?? { en: visible(s.name), ja: visible(s.name) }),
          cells: [
            ...d.classes.map((_, i) => count(s.per_class[i])),
            count(sum(s.per_class)),
            count(s.patients),
          ],
        }))}
      />
      {d.bad.listed.length > 0 && (
        <Folding
          summary={fill(texts.data_bad_list, { shown: count(d.bad.listed.length), count: count(d.bad.count) })}
        >
          <ul class="files">
            {d.bad.listed.map((b, i) => (
              <li key={i}>
                <code>
                  <Name of={b.file} />
                </code>
                <span>
                  <Name of={b.why} />
                </span>
              </li>
            ))}
          </ul>
        </Folding>
      )}
    </>
  );
}

export function Times({ data }: { data: ReportData }) {
  const t = useText();
  const times = data.times;
  return (
    <Table
      class="facts"
      caption={texts.times_caption}
      columns={[{ title: t(texts.setting) }, { title: t(texts.value) }]}
      rows={[
        { head: t(texts.times_total), cells: [t(duration(times.total_seconds))] },
        { head: t(texts.times_load), cells: [t(duration(times.load_seconds))] },
        ...data.arms.map((a) => ({
          head: t(fill(texts.times_train, { arm: armName(a.name) })),
          cells: [
            t(
              fill(texts.time_and_speed, {
                time: duration(a.train_seconds),
                n: isNumber(a.images_per_second) ? count(Math.round(a.images_per_second)) : kNone,
              }),
            ),
          ],
        })),
        { head: t(texts.times_machine), cells: [<Name of={times.machine} />] },
        { head: t(texts.times_device), cells: [<Name of={times.device} />] },
        { head: t(texts.times_threads), cells: [count(times.threads)] },
        { head: t(texts.times_precision), cells: [<Name of={times.precision} />] },
      ]}
    />
  );
}

export function Protocol({ data }: { data: ReportData }) {
  const t = useText();
  const own = new Set(data.protocol.rows.map((r) => r.key));
  const rows = [
    ...data.protocol.rows,
    // What the contract gives apart from the rows, unless a row says it already.
    { key: "repeats", value: count(data.protocol.repeats) },
    { key: "folds", value: data.protocol.folds > 0 ? count(data.protocol.folds) : kNone },
    { key: "margin", value: `±${data.protocol.margin}` },
  ].filter((r, i) => i < data.protocol.rows.length || !own.has(r.key));
  return (
    <>
      <Table
        class="facts"
        caption={texts.protocol_caption}
        note={texts.protocol_note}
        columns={[{ title: t(texts.setting) }, { title: t(texts.value) }]}
        rows={[
          ...rows.map((r) => ({ head: <bdi>{t(protocolName(r.key))}</bdi>, cells: [<Name of={r.value} />] })),
          { head: t(texts.visits), cells: [count(data.protocol.visits_per_arm)] },
        ]}
      />
      <Folding summary={texts.config}>
        <pre tabIndex={0}>{data.config_toml.split("\n").map(visible).join("\n")}</pre>
      </Folding>
    </>
  );
}

export function Methods({ data }: { data: ReportData }) {
  const methods = usedMethods(data);
  return (
    <>
      <p>
        <T of={texts.methods_reading} /> <T of={texts.methods_multiplicity} />
      </p>
      <ul class="methods">
        {methods.map(({ id, method, used }) => {
          const what = {
            en: list(used.map((u) => u.en)).en,
            ja: list(used.map((u) => u.ja)).ja,
          };
          return (
            <li key={id}>
              {method ? <T of={method.what} /> : <code>{id}</code>}{" "}
              <T of={fill(texts.methods_used_for, { what })} />
              {method && <cite>{method.reference}</cite>}
            </li>
          );
        })}
      </ul>
    </>
  );
}
