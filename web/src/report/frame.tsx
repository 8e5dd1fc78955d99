// What every report's page has around its sections.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { dateTime, visible } from "../kit/format";
import { fill, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { Contents, Guard, Section } from "../kit/section";
import type { SectionEntry } from "../kit/section";
import { texts } from "./texts";

// `title` is the window's, `heading` the same with each name isolated; `lead` says what the report is of.
export function Frame(props: {
  title: Text;
  kind: Text;
  heading: ComponentChildren;
  made: { manako_version: string; created: string };
  lead: ComponentChildren;
  sections: SectionEntry[];
}) {
  const t = useText();
  const title = `${t(props.title)} – Manako`;
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <div class="layout">
      <Contents title={texts.contents} sections={props.sections} />
      <main>
        <header>
          <p class="kind">
            <T of={fill(texts.report, { of: props.kind })} />
          </p>
          <h1>{props.heading}</h1>
          <p class="made">
            <T of={fill(texts.made_by, { version: visible(props.made.manako_version), created: dateTime(props.made.created) })} />
          </p>
          <Guard>{props.lead}</Guard>
        </header>
        {props.sections.map((s) => (
          <Section key={s.id} {...s} />
        ))}
      </main>
    </div>
  );
}
