// What several views share: states, what a run is doing in one sentence, the list of events.
import { list, visible } from "../kit/format";
import { fill, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { State } from "../live/parts";
import { moment } from "../live/time";
import type { EventInfo, RunInfo } from "./data";
import { kEvents, kRunStates, named, textOf } from "./labels";
import { texts } from "./texts";

export function stateOf(run: RunInfo): string {
  const over = ["finished", "cancelled", "failed"].includes(run.state);
  return !over && run.wanted === "paused" ? "paused" : run.state;
}

export function RunState({ run }: { run: RunInfo }) {
  const name = named(kRunStates, stateOf(run));
  return (
    <State tone={name.tone}>
      <T of={name} />
    </State>
  );
}

// "Round 4 of 30: waiting for east-clinic".
export function doingOf(run: RunInfo): Text {
  const sites = list(run.waiting_for.map(visible));
  const rounds = run.rounds > 0 ? run.rounds : "?";
  switch (run.state) {
    case "created":
      return texts.now_created;
    case "finished":
      return fill(texts.now_finished, { round: run.round });
    case "cancelled":
      return fill(texts.now_cancelled, { round: run.round });
    case "failed":
      return fill(texts.now_failed, { round: run.round, why: visible(run.why) });
  }
  let what: Text;
  if (run.state === "gathering") {
    what = run.waiting_for.length > 0 ? fill(texts.now_gathering, { sites }) : texts.now_gathering_none;
  } else if (run.state === "testing") what = texts.now_testing;
  else if (run.open_round > 0 && run.waiting_for.length > 0) {
    what = fill(texts.now_waiting, { round: run.open_round, rounds, sites });
  } else if (run.open_round > 0) what = fill(texts.now_round, { round: run.open_round, rounds });
  else what = fill(texts.now_between, { round: run.round, rounds });
  return run.wanted === "paused" ? fill(texts.now_paused, { what }) : what;
}

// What an event's fields add to its name: round, site, reason.
function Details({ event, runs }: { event: EventInfo; runs: RunInfo[] | null }) {
  const t = useText();
  const fields = event.fields ?? {};
  const parts: string[] = [];
  if (event.site) parts.push(visible(event.site));
  if (typeof fields["round"] === "number") parts.push(`${t(texts.round)} ${fields["round"]}`);
  if (typeof fields["why"] === "string" && fields["why"] !== "") parts.push(visible(fields["why"]));
  if (typeof fields["by"] === "string" && fields["by"] !== "") parts.push(visible(fields["by"]));
  if (runs && event.run) parts.push(visible(runs.find((r) => r.id === event.run)?.name || event.run));
  return parts.length === 0 ? null : <span class="soft"> {parts.join(" · ")}</span>;
}

export function Events({ events, runs, live }: { events: EventInfo[]; runs: RunInfo[] | null; live: boolean }) {
  const t = useText();
  if (events.length === 0) {
    return (
      <p class="soft">
        <T of={texts.no_events} />
      </p>
    );
  }
  return (
    <ol class="events" reversed role="log" aria-live={live ? "polite" : "off"} aria-relevant="additions">
      {[...events].reverse().map((e) => (
        <li key={e.seq}>
          <time dateTime={new Date(e.time_ms).toISOString()}>{t(moment(e.time_ms))}</time>
          <span>
            <T of={textOf(kEvents, e.kind)} />
            <Details event={e} runs={runs} />
          </span>
        </li>
      ))}
    </ol>
  );
}
