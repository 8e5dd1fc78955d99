import { render } from "preact";
import { readEmbedded } from "../kit/embedded";
import "../kit/page.css";
import { openForPrinting } from "../kit/printing";
import type { ReportData } from "./data";
import { Page } from "./page";

openForPrinting();
const root = document.getElementById("page");
if (root) render(<Page embedded={readEmbedded<ReportData>("manako-report", 1)} />, root);
