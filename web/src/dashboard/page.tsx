// The central hospital's page: which view, and what is live in it.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { visible } from "../kit/format";
import { fill, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { Guard } from "../kit/section";
import { call } from "../live/api";
import { addressOf, ConnectionMark, Frame, Problem, sentenceOf, Title, useAddress } from "../live/parts";
import { useLive } from "../live/stream";
import { texts as live } from "../live/texts";
import { CreateRun } from "./create";
import type { EventInfo, Overview, RunDetails } from "./data";
import { OverviewView } from "./overview";
import { RunView } from "./run";
import { SitesView } from "./sites";
import { texts } from "./texts";

const kFetched = 200; // events of what is looked at
const kKept = 2000; // that the page holds

export function Page() {
  return (
    <Frame title={texts.page} command="manako server password FOLDER">
      {() => <Server />}
    </Frame>
  );
}

// An event once, whichever way it came, in its order.
export function merged(known: EventInfo[], more: EventInfo[]): EventInfo[] {
  const by = new Map(known.map((e) => [e.seq, e]));
  for (const e of more) by.set(e.seq, e);
  return [...by.values()].sort((a, b) => a.seq - b.seq).slice(-kKept);
}

function Server() {
  const t = useText();
  const [address, go] = useAddress();
  const view = address.get("view") ?? "overview";
  const run = view === "run" ? (address.get("run") ?? "") : "";
  const [overview, setOverview] = useState<Overview | null>(null);
  const [details, setDetails] = useState<RunDetails | null>(null);
  const [events, setEvents] = useState<EventInfo[]>([]);
  const [problem, setProblem] = useState<Text | null>(null);

  const wanted = useRef(run);
  wanted.current = run;
  const fetchRun = useCallback(async (background: boolean) => {
    const id = wanted.current;
    if (id === "") return;
    try {
      const got = await call<RunDetails>(`/api/runs/${encodeURIComponent(id)}`, { background });
      if (wanted.current === id) {
        setDetails(got);
        setProblem(null);
      }
    } catch (e) {
      if (wanted.current === id) setProblem(sentenceOf(e));
    }
  }, []);
  useEffect(() => {
    setDetails(null);
    setProblem(null);
    void fetchRun(false);
  }, [run, fetchRun]);

  const fetchEvents = useCallback(async (of: string) => {
    const path = `/api/events?latest=${kFetched}${of === "" ? "" : `&run=${encodeURIComponent(of)}`}`;
    const got = await call<{ events: EventInfo[] }>(path, { background: true }).catch(() => null);
    if (got) setEvents((known) => merged(known, got.events));
  }, []);
  // Behind the stream's beginning, so that nothing falls between the two.
  const begun = overview !== null;
  useEffect(() => {
    if (begun) void fetchEvents(run);
  }, [begun, run, fetchEvents]);

  // Many events at once are one look at the run.
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(due.current), []);
  const connection = useLive("/api/live", {
    state: (data) => setOverview(data as Overview),
    event: (data) => {
      const event = data as EventInfo;
      setEvents((known) => merged(known, [event]));
      if (event.run !== wanted.current) return;
      clearTimeout(due.current);
      due.current = setTimeout(() => void fetchRun(true), 250);
    },
  });

  // A view that is come to is read from its title on.
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = useRef(view + run);
  useEffect(() => {
    if (shown.current === view + run) return;
    shown.current = view + run;
    heading.current?.focus({ preventScroll: true });
    window.scrollTo?.(0, 0);
  }, [view, run]);

  const name = overview ? visible(overview.federation.name) : "Manako";
  const current = overview?.runs.find((r) => r.id === run);
  const title =
    view === "run" ? visible(current?.name || run) : t(view === "sites" ? texts.sites : view === "new" ? texts.new_run : texts.overview);
  return (
    <div class="live">
      <Title text={`${title} – ${name}`} />
      <header>
        <p class="kind">
          Manako · <T of={texts.page} />
        </p>
        <div class="masthead">
          <h1 ref={heading} tabIndex={-1}>
            <bdi>{name}</bdi>
          </h1>
          <ConnectionMark connection={connection} />
        </div>
        {overview && (
          <p class="made">
            <T
              of={fill(texts.facts, {
                address: visible(overview.federation.address),
                version: visible(overview.federation.version),
              })}
            />
          </p>
        )}
        <nav class="views" aria-label={t(live.pages)}>
          {(["overview", "sites", "new"] as const).map((v) => (
            <a
              key={v}
              href={addressOf({ view: v })}
              aria-current={view === v || (v === "overview" && view === "run") ? "page" : undefined}
            >
              <T of={v === "overview" ? texts.overview : v === "sites" ? texts.sites : texts.new_run} />
            </a>
          ))}
        </nav>
      </header>
      <main>
        <Problem of={problem} />
        {!overview ? (
          <p aria-busy="true">
            <T of={live.loading} />
          </p>
        ) : (
          <Guard key={view + run}>
            {view === "run" ? (
              details && <RunView details={details} live={current} events={events.filter((e) => e.run === run)} changed={() => fetchRun(false)} />
            ) : view === "sites" ? (
              <SitesView overview={overview} />
            ) : view === "new" ? (
              <CreateRun created={(id) => go({ view: "run", run: id })} />
            ) : (
              <OverviewView overview={overview} events={events} />
            )}
          </Guard>
        )}
      </main>
    </div>
  );
}
