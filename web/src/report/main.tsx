import { render } from "preact";
import { readEmbedded } from "../kit/embedded";
import "../kit/page.css";
import { openForPrinting } from "../kit/printing";
import { Page } from "./page";
import type { AnyReport } from "./page";

openForPrinting();
const root = document.getElementById("page");
if (root) render(<Page embedded={readEmbedded<AnyReport>("manako-report", 1)} />, root);
