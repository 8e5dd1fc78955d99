// Tables with a caption, headers with a scope, and their own sideways scrolling where a phone is too narrow.
import type { ComponentChildren } from "preact";
import { T } from "./language";
import type { Text } from "./language";

export interface Column {
  title: ComponentChildren;
  numeric?: boolean;
}
export interface Row {
  head?: ComponentChildren; // the row's name; where there is none, `cells` has one for each column
  cells: ComponentChildren[];
  strong?: boolean;
}

// Rows of a table that is kept on one page when printed.
const kShort = 16;

export function Table(props: {
  caption: Text;
  note?: Text | null;
  columns: Column[];
  rows: Row[];
  class?: string;
}) {
  return (
    <div class={props.rows.length <= kShort ? "table-holder short" : "table-holder"}>
      <div class="scroll">
        <table class={props.class}>
          <caption>
            <span class="caption">
              <span class="number table-number" /> <T of={props.caption} />
            </span>
          </caption>
          <thead>
            <tr>
              {props.columns.map((column, i) => (
                <th scope="col" key={i} class={column.numeric ? "numeric" : undefined}>
                  {column.title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {props.rows.map((row, i) => {
              const offset = row.head === undefined ? 0 : 1;
              return (
                <tr key={i} class={row.strong ? "strong" : undefined}>
                  {row.head !== undefined && <th scope="row">{row.head}</th>}
                  {row.cells.map((cell, j) => (
                    <td key={j} class={props.columns[j + offset]?.numeric ? "numeric" : undefined}>
                      {cell}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {props.note && (
        <p class="note">
          <T of={props.note} />
        </p>
      )}
    </div>
  );
}
