// What the study is called: the comparison, the data and the network, from what the data's contract has.
import { visible } from "../kit/format";
import { fill } from "../kit/language";
import type { Text } from "../kit/language";
import type { ReportData } from "./data";
import { texts } from "./texts";

// Names that say only what kind of file or folder it is; the folder above says which one.
const kGeneric = new Set(
  "manifest index table list labels annotations metadata data dataset images image img files train all".split(" "),
);
const kExtension = /\.(csv|tsv|txt|npz)$/i;

// "runs/demo-images/manifest.csv" -> "demo-images", "breastmnist.npz" -> "breastmnist". Where what was given on the command
// line says nothing ("manifest.csv" from inside its folder), `name`, which comes from where it lies.
export function dataName(source: string, name = ""): string {
  const parts = source.split("/").filter((p) => p !== "" && p !== ".");
  const last = parts.pop();
  if (last === undefined || last === "..") return name || source;
  const bare = last.replace(kExtension, "");
  if (bare === "") return last;
  if (!kGeneric.has(bare.toLowerCase())) return bare;
  const above = parts.slice(parts.lastIndexOf("..") + 1).reverse();
  // Where no folder says more, the nearest one is still better than "manifest"; without any, the name is all there is.
  return above.find((p) => !kGeneric.has(p.toLowerCase())) ?? above[0] ?? (name || last);
}

// The network's name; of a TorchScript file, the file's.
export function networkName(data: ReportData): string | null {
  const value = data.protocol.rows.find((r) => r.key === "architecture" || r.key === "model.architecture")?.value;
  if (!value) return null;
  return value.split("/").filter(Boolean).pop()?.replace(/\.(pt|pth|ts)$/i, "") ?? value;
}

export function comparisonName(data: ReportData): Text {
  const has = (name: string) => data.arms.some((a) => a.name === name);
  if (has("federated") && has("pooled")) return texts.title_federated_pooled;
  if (has("federated") && has("alone")) return texts.title_federated_alone;
  if (has("pooled") && has("alone")) return texts.title_pooled_alone;
  return texts.page_title;
}

// The parts of the title that come from the data, so that the page can isolate each (names may be written from right to
// left).
export function titleNames(data: ReportData): string[] {
  return [dataName(data.data.source || data.title, data.data.name), networkName(data)].filter((n): n is string => !!n).map(visible);
}

// "Federated against pooled training: demo-images, cnn3".
export function titleText(data: ReportData): Text {
  const names = titleNames(data);
  if (names.length === 0) return comparisonName(data);
  const joined = { en: names.join(", "), ja: names.join("、") };
  return fill(texts.title_with_names, { what: comparisonName(data), names: joined });
}
