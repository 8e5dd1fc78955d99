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
      <line
        x1="-15"
        x2="15"
        stroke={stroke.color}
        stroke-width="2"
        stroke-dasharray={stroke.dash || undefined}
      />
      <Marker stroke={stroke} />
    </svg>
  );
}

function Marker({ stroke }: { stroke: Stroke }) {
  if (stroke.symbol === "square") {
    return <rect x="-4" y="-4" width="8" height="8" fill={stroke.color} />;
  }
  if (stroke.symbol === "triangle") return <path d="M0-5.2 5 4H-5Z" fill={stroke.color} />;
  return <circle r="4.3" fill={stroke.color} />;
}

export function Legend({ entries }: { entries: { stroke: Stroke; name: ComponentChildren }[] }) {
  return (
    <ul class="legend">
      {entries.map((entry, i) => (
        <li key={i}>
          <Swatch stroke={entry.stroke} /> {entry.name}
        </li>
      ))}
    </ul>
  );
}
