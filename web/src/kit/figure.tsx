// A figure: the chart, a numbered caption that says what it is and how to read it, and the key of its lines.
import type { ComponentChildren } from "preact";
import { T } from "./language";
import type { Text } from "./language";
import type { Stroke } from "./palette";

export function Figure(props: {
  title: Text;
  reading: Text;
  legend?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <figure>
      <figcaption>
        <span class="number figure-number" />{" "}
        <strong>
          <T of={props.title} />
        </strong>{" "}
        <T of={props.reading} />
      </figcaption>
      {props.legend}
      {props.children}
    </figure>
  );
}

// The line and marker of an arm as they stand in the charts.
export function Swatch({ stroke }: { stroke: Stroke }) {
  return (
    <svg class="swatch" width="30" height="12" viewBox="-15 -6 30 12" aria-hidden="true">
      <SwatchLine stroke={stroke} half={15} />
      <Marker stroke={stroke} />
    </svg>
  );
}

// A line without markers, long enough for its dash to be seen, and its number where it has one in the chart.
function LineSwatch({ stroke, badge }: { stroke: Stroke; badge?: string | undefined }) {
  return (
    <svg class="swatch swatch-line" width="58" height="18" viewBox="-29 -9 58 18" aria-hidden="true">
      <SwatchLine stroke={stroke} half={29} />
      {badge && (
        <>
          <circle r="8" fill="var(--page)" stroke={stroke.color} stroke-width="1.2" />
          <text y="4" text-anchor="middle" font-size="11" font-weight="600" fill="var(--ink)">
            {badge}
          </text>
        </>
      )}
    </svg>
  );
}

function SwatchLine({ stroke, half }: { stroke: Stroke; half: number }) {
  return (
    <line
      x1={-half}
      x2={half}
      stroke={stroke.color}
      stroke-width="2"
      stroke-dasharray={stroke.dash || undefined}
    />
  );
}

function Marker({ stroke }: { stroke: Stroke }) {
  if (stroke.symbol === "square") {
    return <rect x="-4" y="-4" width="8" height="8" fill={stroke.color} />;
  }
  if (stroke.symbol === "triangle") return <path d="M0-5.2 5 4H-5Z" fill={stroke.color} />;
  return <circle r="4.3" fill={stroke.color} />;
}

export interface LegendEntry {
  stroke: Stroke;
  name: ComponentChildren;
  badge?: string | undefined;
}

// `lines`: the chart draws lines without markers.
export function Legend({ entries, lines }: { entries: LegendEntry[]; lines?: boolean }) {
  return (
    <ul class="legend">
      {entries.map((entry, i) => (
        <li key={i}>
          {lines ? <LineSwatch stroke={entry.stroke} badge={entry.badge} /> : <Swatch stroke={entry.stroke} />} {entry.name}
        </li>
      ))}
    </ul>
  );
}
