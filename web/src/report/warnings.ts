// The warnings that follow from the report's numbers, so that the page makes them itself, with the arms named in its
// language. What only the run knows (lines that could not be read, missing predictions) comes with the data.
import { isNumber } from "../kit/format";
import { fill } from "../kit/language";
import type { Text } from "../kit/language";
import type { Arm, ReportData } from "./data";
import { quotedArms } from "./labels";
import { texts } from "./texts";

// Of two classes, and of the macro average of one class against the rest.
const kChance = 0.5;

// An arm without an AUC has no result at all, which is another matter.
export function atChance(arm: Arm | undefined): boolean {
  return !!arm && isNumber(arm.auc.value) && !(isNumber(arm.auc.low) && arm.auc.low > kChance);
}

export function ownWarnings(data: ReportData): Text[] {
  const arms = data.arms.filter(atChance).map((a) => a.name);
  return arms.length > 0 ? [fill(texts.warning_chance, { arms: quotedArms(arms) })] : [];
}
