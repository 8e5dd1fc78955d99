// Numbered sections, folding parts, and what keeps one part that cannot be drawn from taking the page with it.
import { Component } from "preact";
import type { ComponentChildren } from "preact";
import { T } from "./language";
import type { Text } from "./language";

const kFailed: Text = {
  en: "This part could not be drawn; the rest of the page is not affected. Reason:",
  ja: "この部分は表示できない（他の部分に影響はない）。理由：",
};

export class Guard extends Component<{ children: ComponentChildren }, { why: string | null }> {
  override state = { why: null as string | null };
  static override getDerivedStateFromError(error: unknown) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
  override render() {
    if (this.state.why === null) return <>{this.props.children}</>;
    return (
      <p class="failed" role="alert">
        <T of={kFailed} /> {this.state.why}
      </p>
    );
  }
}

export interface SectionEntry {
  id: string;
  title: Text;
  body: ComponentChildren;
}

export function Section({ id, title, body }: SectionEntry) {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`} tabIndex={-1}>
        <T of={title} />
      </h2>
      <Guard>{body}</Guard>
    </section>
  );
}

// Open when printed, whatever it is on the screen (see printing.ts).
export function Folding(props: { summary: Text; open?: boolean; children: ComponentChildren }) {
  return (
    <details open={props.open}>
      <summary>
        <T of={props.summary} />
      </summary>
      {props.children}
    </details>
  );
}

// The list of sections. A click scrolls and leaves the address alone: the language stands there.
export function Contents({ title, sections }: { title: Text; sections: SectionEntry[] }) {
  const go = (event: MouseEvent, id: string) => {
    event.preventDefault();
    document.getElementById(id)?.scrollIntoView();
    document.getElementById(`${id}-title`)?.focus({ preventScroll: true });
  };
  return (
    <nav class="contents" aria-labelledby="contents-title">
      <h2 id="contents-title">
        <T of={title} />
      </h2>
      <ol>
        {sections.map((s) => (
          <li key={s.id}>
            <a href={`#${s.id}`} onClick={(event) => go(event, s.id)}>
              <T of={s.title} />
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}
