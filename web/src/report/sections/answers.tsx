// What was compared, the conclusion, the forest plots that it rests on, and the warnings.
import { count, fixed, isNumber, kNone, signed, visible, withInterval } from "../../kit/format";
import { Figure } from "../../kit/figure";
import { Forest } from "../../kit/forest";
import { fill, sentences, T, useText } from "../../kit/language";
import type { Text } from "../../kit/language";
import { strokeOf } from "../../kit/palette";
import { Swatch } from "../../kit/figure";
import { Table } from "../../kit/table";
import type { Arm, ReportData } from "../data";
import { armName } from "../labels";
import { isMacro, labelled, list, Name, SiteName, sum, summary } from "../shared";
import { texts } from "../texts";
import { dataName } from "../title";
import { gainConclusion, marginText, matchConclusion, scope } from "../verdict";
import type { Conclusion } from "../verdict";
import { ownWarnings } from "../warnings";

const kWhat: Record<Arm["name"], Text> = {
  pooled: texts.arm_pooled_what,
  federated: texts.arm_federated_what,
  alone: texts.arm_alone_what,
};

export function Compared({ data }: { data: ReportData }) {
  const d = data.data;
  const test = d.splits.find((s) => s.name === "test");
  const positive = isNumber(d.positive) ? d.classes[d.positive] : undefined;
  const lead = sentences(
    fill(texts.compared, {
      images: count(d.images),
      classes: d.classes.length,
      names: list(d.classes.map(visible)),
      source: visible(dataName(d.source || data.title)),
      test: test ? count(sum(test.per_class)) : kNone,
    }),
    positive !== undefined && fill(texts.compared_positive, { positive: visible(positive) }),
  );
  return (
    <div class="compared">
      <p>
        <T of={lead} />
      </p>
      <dl class="arms">
        {data.arms.map((arm) => (
          <div key={arm.name}>
            <dt>
              <Swatch stroke={strokeOf(arm.name)} /> <T of={armName(arm.name)} />
            </dt>
            <dd>{kWhat[arm.name] && <T of={kWhat[arm.name]} />}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Answer({ of }: { of: Conclusion }) {
  return (
    <div class={`answer answer-${of.kind}`}>
      <h3>
        <T of={of.question} />
      </h3>
      <p class="verdict">
        <T of={of.verdict} />
      </p>
      <p>
        <T of={of.explanation} />
      </p>
    </div>
  );
}

export function Conclusions({ data }: { data: ReportData }) {
  return (
    <>
      <Answer of={matchConclusion(data)} />
      <Answer of={gainConclusion(data)} />
      <ul class="scope">
        {scope(data).map((text, i) => (
          <li key={i}>
            <T of={text} />
          </li>
        ))}
      </ul>
    </>
  );
}

export function MainResult({ data }: { data: ReportData }) {
  const t = useText();
  const macro = isMacro(data);
  const three = (x: number | null) => fixed(x, 3);
  const difference = (x: number | null) => signed(x, 3);
  const arms = data.arms.map((arm) => ({ arm, name: armName(arm.name), value: withInterval(arm.auc, three) }));
  const pairs = data.comparisons.map((c) => ({
    c,
    name: fill({ en: "{a} − {b}", ja: "{a} − {b}" }, { a: armName(c.a), b: armName(c.b) }),
    value: withInterval(c.difference, difference),
  }));
  const equivalence = data.comparisons.find((c) => c.equivalence)?.equivalence;
  const forest = macro ? texts.forest_title_macro : texts.forest_title;
  const differences = macro ? texts.difference_title_macro : texts.difference_title;
  return (
    <>
      {arms.some((a) => isNumber(a.arm.auc.value)) ? (
        <Figure title={forest} reading={texts.forest_reading}>
          <Forest
            label={t(labelled(forest, summary(arms)))}
            axis={t(macro ? texts.macro_auc : texts.auc)}
            highest={1}
            rows={arms.map(({ arm, name, value }) => ({
              name: t(name),
              numbers: t(value),
              ...arm.auc,
              stroke: strokeOf(arm.name),
            }))}
          />
        </Figure>
      ) : (
        <p class="note">
          <T of={texts.none_yet} />
        </p>
      )}
      {pairs.some(({ c }) => isNumber(c.difference.value)) && (
        <Figure
          title={differences}
          reading={sentences(
            texts.difference_reading,
            equivalence &&
              fill(texts.difference_reading_margin, { margin: marginText(equivalence.margin) }),
          )}
        >
          <Forest
            label={t(labelled(differences, summary(pairs)))}
            axis={t(texts.difference_axis)}
            zero
            rows={pairs.map(({ c, name, value }) => ({
              name: t(name),
              numbers: t(value),
              ...c.difference,
              ...(c.equivalence
                ? {
                    band: c.equivalence.margin,
                    inner: { low: c.equivalence.low90, high: c.equivalence.high90 },
                  }
                : {}),
            }))}
          />
        </Figure>
      )}
    </>
  );
}

export function Warnings({ data }: { data: ReportData }) {
  const t = useText();
  const stopped = data.arms.flatMap((arm) => arm.stopped.map((s) => ({ arm, ...s })));
  const warnings = [...ownWarnings(data), ...data.warnings];
  if (warnings.length === 0 && stopped.length === 0) {
    return (
      <p>
        <T of={texts.warnings_none} />
      </p>
    );
  }
  return (
    <>
      {warnings.length > 0 && (
        <ul class="warnings">
          {warnings.map((w, i) => (
            <li key={i}>{visible(t(w))}</li>
          ))}
        </ul>
      )}
      {stopped.length > 0 && (
        <Table
          caption={texts.stopped_caption}
          note={texts.stopped_note}
          columns={[
            { title: t(texts.arm) },
            { title: t(texts.site) },
            { title: t(texts.repeat), numeric: true },
            { title: t(texts.fold), numeric: true },
            { title: t(texts.round), numeric: true },
            { title: t(texts.reason) },
          ]}
          rows={stopped.map((s) => ({
            head: <span class="keep">{t(armName(s.arm.name))}</span>,
            cells: [s.site ? <SiteName of={s.site} /> : kNone, s.repeat, s.fold, s.round, <Name of={t(s.why)} />],
          }))}
        />
      )}
    </>
  );
}
