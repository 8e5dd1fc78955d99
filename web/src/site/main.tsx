import { render } from "preact";
import "../kit/page.css";
import "../live/live.css";
import { Page } from "./page";

const root = document.getElementById("page");
if (root) render(<Page />, root);
