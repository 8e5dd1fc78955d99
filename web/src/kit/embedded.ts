// The JSON that the program has put into the page. An empty page ("null"), a broken one and one of another format are
// three different things to tell a reader.
export type Embedded<Data> =
  | { kind: "data"; data: Data }
  | { kind: "empty" }
  | { kind: "broken"; why: string }
  | { kind: "format"; format: unknown };

export function readEmbedded<Data>(id: string, format: number): Embedded<Data> {
  const text = document.getElementById(id)?.textContent ?? "";
  if (text.trim() === "" || text.trim() === "null") return { kind: "empty" };
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (e) {
    return { kind: "broken", why: e instanceof Error ? e.message : String(e) };
  }
  const found = (data as { format?: unknown } | null)?.format;
  if (found !== format) return { kind: "format", format: found };
  return { kind: "data", data: data as Data };
}
