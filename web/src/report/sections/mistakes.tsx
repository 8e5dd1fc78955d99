// Confusion matrices and the most confident mistakes.
import { count, percent, visible } from "../../kit/format";
import { fill, T, useText } from "../../kit/language";
import type { Text } from "../../kit/language";
import { Table } from "../../kit/table";
import type { Arm, Mistake, ReportData } from "../data";
import { armName } from "../labels";
import { imageData, Name, sum } from "../shared";
import { texts } from "../texts";

function Matrix({ arm, classes }: { arm: Arm; classes: string[] }) {
  const t = useText();
  return (
    <Table
      class="confusion"
      caption={fill(texts.confusion_caption, { arm: armName(arm.name) })}
      columns={[
        { title: t(texts.true_predicted) },
        ...classes.map((name) => ({ title: <Name of={name} />, numeric: true })),
      ]}
      rows={classes.map((name, i) => {
        const row = arm.confusion[i] ?? [];
        const total = sum(row);
        return {
          head: <Name of={name} />,
          cells: classes.map((_, j) => {
            const share = total > 0 ? (row[j] ?? 0) / total : null;
            return (
              <span class={i === j ? "right" : undefined}>
                {count(row[j])}
                <small class="interval">{percent(share)}</small>
              </span>
            );
          }),
        };
      })}
    />
  );
}

// `reading` and `none`: what to say instead in a report that is not a study's.
export function Confusion({ data, reading, none }: { data: ReportData; reading?: Text; none?: Text }) {
  const arms = data.arms.filter((a) => sum(a.confusion.flat()) > 0);
  if (arms.length === 0) {
    return (
      <p class="note">
        <T of={none ?? texts.none_yet} />
      </p>
    );
  }
  return (
    <>
      <p>
        <T of={reading ?? texts.confusion_reading} />
      </p>
      <div class="panels">
        {arms.map((arm) => (
          <div class="panel" key={arm.name}>
            <Matrix arm={arm} classes={data.data.classes} />
          </div>
        ))}
      </div>
    </>
  );
}

function Picture({ of, classes }: { of: Mistake; classes: string[] }) {
  const t = useText();
  const name = (i: number) => visible(classes[i] ?? i);
  const values = {
    file: visible(of.file),
    truth: name(of.truth),
    predicted: name(of.predicted),
    probability: percent(of.probability),
  };
  const source = imageData(of.thumbnail);
  return (
    <li>
      {source ? (
        <img src={source} alt={t(fill(texts.mistake_alt, values))} loading="eager" />
      ) : (
        <span class="no-picture">
          <T of={texts.mistake_no_picture} />
        </span>
      )}
      <span>
        <T of={fill(texts.mistake_truth, values)} />
      </span>
      <span>
        <T of={fill(texts.mistake_predicted, values)} />
      </span>
      <small>
        <Name of={of.file} />
      </small>
    </li>
  );
}

export function Mistakes({ data }: { data: ReportData }) {
  const t = useText();
  return (
    <>
      <p>
        <T of={texts.mistakes_reading} />
      </p>
      {data.arms.map((arm) => (
        <div key={arm.name} class="mistakes">
          <h3>{t(armName(arm.name))}</h3>
          {arm.mistakes.length === 0 ? (
            <p class="note">
              <T of={texts.mistakes_none} />
            </p>
          ) : (
            <ul>
              {arm.mistakes.map((m, i) => (
                <Picture key={i} of={m} classes={data.data.classes} />
              ))}
            </ul>
          )}
        </div>
      ))}
    </>
  );
}
