// One fixed colour, dash and marker for each arm, in every chart and table. The hues are Okabe and Ito's, which people
// with any of the common colour vision deficiencies tell apart ("Color Universal Design", 2008), darkened (in page.css)
// to at least 4.5:1 against the page; dash and marker say the same without colour.
export interface Stroke {
  color: string; // a CSS colour, by way of page.css, where dark mode has its own
  dash: string; // of stroke-dasharray; empty: solid
  symbol: "circle" | "square" | "triangle";
}

const kStrokes = new Map<string, Stroke>([
  ["pooled", { color: "var(--pooled)", dash: "7 4", symbol: "square" }],
  ["federated", { color: "var(--federated)", dash: "", symbol: "circle" }],
  ["alone", { color: "var(--alone)", dash: "2 3", symbol: "triangle" }],
]);

// The models of one arm's sites: the arm's colour, which keeps them one family, in a dash of their own. None is like
// another arm's. Charts also number them, since no more dashes than these are told apart, and not where lines cross.
const kSiteDashes = ["2 3", "10 3 2 3", "1 5", "6 2 1 2 1 2"];

export function siteStroke(arm: string, site: number): Stroke {
  return { ...strokeOf(arm), dash: kSiteDashes[site % kSiteDashes.length] ?? "" };
}

export function strokeOf(arm: string): Stroke {
  return kStrokes.get(arm) ?? { color: "var(--ink)", dash: "", symbol: "circle" };
}
