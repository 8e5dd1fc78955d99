// A chart of Observable Plot as a Preact component: drawn again when its width or its options change, with a label that
// says to a screen reader what the eye would see.
import * as Plot from "@observablehq/plot";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const kWidthWithoutLayout = 640; // where there is no layout to measure (tests)

export interface ChartProps {
  label: string; // what the chart shows, with its main numbers
  draw: (width: number) => Plot.PlotOptions;
  max?: number; // widest, in pixels
}

export function Chart({ label, draw, max = 900 }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = holder.current;
    if (!element) return;
    const measure = () => {
      const measured = Math.floor(element.clientWidth) || kWidthWithoutLayout;
      setWidth(Math.min(max, Math.max(200, measured)));
    };
    measure();
    if (typeof ResizeObserver === "undefined") return;
    // Drawing changes the height alone, so the observer cannot go round in circles. On paper the drawing is scaled by
    // its viewBox.
    const observer = new ResizeObserver(() => {
      if (!window.matchMedia?.("print").matches) measure();
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [max]);
  useEffect(() => {
    const element = holder.current;
    if (!element || width === 0) return;
    const drawn = Plot.plot({ style: { fontFamily: "inherit", fontSize: "13px" }, ...draw(width), width });
    // The rules are page.css's: a served page's policy allows no style that came later.
    drawn.querySelector("style")?.remove();
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", label);
    element.replaceChildren(drawn);
  });
  return <div class="chart" ref={holder} style={{ maxWidth: `${max}px` }} />;
}
