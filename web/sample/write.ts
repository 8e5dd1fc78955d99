// Writes dist/sample-*.html from dist/report.html (build it first), to look at.
import { readFileSync, writeFileSync } from "node:fs";
import { federatedReport, startedFederatedReport } from "./federated";
import { binaryReport, fillPage, hostileReport, singleReport, threeClassReport, unfinishedReport } from "./generate";

const dist = new URL("../dist/", import.meta.url);
const page = readFileSync(new URL("report.html", dist), "utf8");
const samples = {
  binary: binaryReport(),
  single: singleReport(),
  three: threeClassReport(),
  unfinished: unfinishedReport(),
  hostile: hostileReport(),
  federated: federatedReport(),
  "federated-metrics": federatedReport("metrics"),
  "federated-started": startedFederatedReport(),
};
for (const [name, data] of Object.entries(samples)) {
  writeFileSync(new URL(`sample-${name}.html`, dist), fillPage(page, data));
}
