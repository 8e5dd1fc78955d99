// The federation at a glance.
import { visible } from "../kit/format";
import { fill, T, useText } from "../kit/language";
import { Table } from "../kit/table";
import { addressOf, When } from "../live/parts";
import { moment } from "../live/time";
import type { EventInfo, Overview } from "./data";
import { doingOf, Events, RunState } from "./shared";
import { texts } from "./texts";

const kLatest = 12;

export function OverviewView({ overview, events }: { overview: Overview; events: EventInfo[] }) {
  const t = useText();
  const enrolled = overview.sites.filter((s) => s.state === "enrolled");
  const open = overview.runs.filter((r) => ["gathering", "training", "testing"].includes(r.state));
  return (
    <>
      <h2>
        <T of={texts.overview} />
      </h2>
      <dl class="facts-row" aria-live="polite">
        <div>
          <dt>{t(texts.sites_online)}</dt>
          <dd>{t(fill(texts.of_count, { count: enrolled.filter((s) => s.online).length, all: enrolled.length }))}</dd>
        </div>
        <div>
          <dt>{t(texts.runs_open)}</dt>
          <dd>{open.length}</dd>
        </div>
        <div>
          <dt>{t(texts.invitations_open)}</dt>
          <dd>{overview.sites.flatMap((s) => s.invitations).filter((i) => i.state === "open").length}</dd>
        </div>
        <div>
          <dt>{t(texts.up_since)}</dt>
          <dd class="words">{t(moment(overview.federation.started_ms))}</dd>
        </div>
      </dl>
      <h2>
        <T of={texts.runs} />
      </h2>
      {overview.runs.length === 0 ? (
        <p>
          <T of={texts.no_runs} />
        </p>
      ) : (
        <Table
          caption={texts.runs_caption}
          class="runs"
          columns={[
            { title: t(texts.name) },
            { title: t(texts.state) },
            { title: t(texts.round), numeric: true },
            { title: t(texts.started) },
          ]}
          rows={overview.runs.map((run) => ({
            head: (
              <a href={addressOf({ view: "run", run: run.id })}>
                <bdi>{visible(run.name || run.id)}</bdi>
              </a>
            ),
            cells: [
              <>
                <RunState run={run} />
                {["gathering", "training", "testing"].includes(run.state) && (
                  <div class="soft">{t(doingOf(run))}</div>
                )}
              </>,
              run.rounds > 0 ? `${run.round} / ${run.rounds}` : "–",
              <When ms={run.started_ms} />,
            ],
          }))}
        />
      )}
      <h2>
        <T of={texts.latest_events} />
      </h2>
      <Events events={events.slice(-kLatest)} runs={overview.runs} live />
    </>
  );
}
