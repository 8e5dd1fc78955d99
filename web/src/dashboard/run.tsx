// One run: what it is doing, how the model improves, who has answered what.
import * as Plot from "@observablehq/plot";
import { useState } from "preact/hooks";
import { Chart } from "../kit/chart";
import { Figure, Legend } from "../kit/figure";
import { count, duration, fixed, isNumber, kNone, visible } from "../kit/format";
import { fill, sentences, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { strokeOf } from "../kit/palette";
import { Folding } from "../kit/section";
import { Table } from "../kit/table";
import { call, save } from "../live/api";
import { addressOf, Dialog, Problem, Progress, sentenceOf, State, useNow } from "../live/parts";
import { moment, until } from "../live/time";
import type { AskInfo, EventInfo, RoundInfo, RunDetails, RunInfo } from "./data";
import { kAskStates, kRunSiteStates, named } from "./labels";
import { doingOf, Events, RunState, stateOf } from "./shared";
import { texts } from "./texts";

const kRoundsShown = 15;
const kEventsShown = 60;

export function RunView(props: {
  details: RunDetails;
  live: RunInfo | undefined; // as the overview has it, which is newer at times
  events: EventInfo[];
  changed: () => Promise<void>;
}) {
  const { details } = props;
  const run = props.live ?? details.run;
  return (
    <>
      <p class="soft">
        <a href={addressOf({ view: "overview" })}>
          <T of={texts.back} />
        </a>
      </p>
      <h2>
        <bdi>{visible(run.name || run.id)}</bdi>
      </h2>
      <Now run={run} round={details.rounds[details.rounds.length - 1]} />
      <Actions run={run} details={details} changed={props.changed} />
      <Facts run={run} />
      <Course details={details} />
      <Rounds details={details} />
      <RunSites details={details} />
      <Evaluations details={details} />
      <CrossSite details={details} />
      <h2>
        <T of={texts.events} />
      </h2>
      <Events events={props.events.slice(-kEventsShown)} runs={null} live />
      {props.events.length > kEventsShown && (
        <p class="note">
          <T of={fill(texts.earlier_events, { count: kEventsShown })} />
        </p>
      )}
      <Folding summary={texts.agreement}>
        <pre tabIndex={0}>{details.config}</pre>
      </Folding>
    </>
  );
}

function Now({ run, round }: { run: RunInfo; round: RoundInfo | undefined }) {
  const t = useText();
  const now = useNow();
  const state = stateOf(run);
  const open = run.open_round > 0 && round?.round === run.open_round && state !== "paused" ? round : null;
  const tone = state === "failed" ? "now-bad" : state === "paused" || run.waiting_for.length > 0 ? "now-wait" : "";
  const parts: (Text | false | null)[] = [];
  if (run.state === "created") parts.push(texts.now_created_more);
  else if (open) {
    parts.push(
      run.deadline_ms > 0
        ? fill({ en: "{what}.", ja: "{what}。" }, {
            what: fill(texts.deadline, { when: until(run.deadline_ms, now), moment: moment(run.deadline_ms) }),
          })
        : texts.no_deadline,
      open.extended && texts.extended,
      fill(texts.needed, { count: open.needed }),
    );
  } else if (run.why !== "" && run.state !== "failed") parts.push({ en: visible(run.why), ja: visible(run.why) });
  return (
    <div class={`now ${tone}`} role="status">
      <p class="soft">
        <RunState run={run} />
      </p>
      <p class="lead">{t(doingOf(run))}</p>
      {run.rounds > 0 && (
        <Progress
          value={run.round}
          max={run.rounds}
          label={t(fill(texts.now_between, { round: run.round, rounds: run.rounds }))}
        />
      )}
      {open && <Books asks={open.asks} />}
      {parts.length > 0 && <p class="soft">{t(sentences(...parts))}</p>}
    </div>
  );
}

type Asked = { title: Text; what: Text; action: Text; path: string; dangerous?: boolean };

const kActions: Record<string, Asked> = {
  start: { title: texts.start_question, what: texts.start_what, action: texts.start, path: "start" },
  pause: { title: texts.pause_question, what: texts.pause_what, action: texts.pause, path: "pause" },
  resume: { title: texts.resume_question, what: texts.resume_what, action: texts.resume, path: "resume" },
  cancel: { title: texts.cancel_question, what: texts.cancel_what, action: texts.cancel_run, path: "cancel", dangerous: true },
};

type Saving = { busy: boolean; problem: Text | null; begin: (path: string) => Promise<void> };

// One file at a time; what became of it is said in one place.
function useSaving(): Saving {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Text | null>(null);
  const begin = async (path: string) => {
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await save(path);
    } catch (e) {
      setProblem(sentenceOf(e));
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, begin };
}

// A link, so that it can be copied and opened as one.
function Saved({ path, label, name, saving }: { path: string; label: Text; name: Text; saving: Saving }) {
  const t = useText();
  return (
    <a
      class="button"
      href={path}
      download
      aria-label={t(label)}
      aria-disabled={saving.busy}
      onClick={(event) => {
        event.preventDefault();
        void saving.begin(path);
      }}
    >
      {t(name)}
    </a>
  );
}

function Actions({ run, details, changed }: { run: RunInfo; details: RunDetails; changed: () => Promise<void> }) {
  const t = useText();
  const [asking, setAsking] = useState<Asked | null>(null);
  const [round, setRound] = useState<number | null>(null);
  const saving = useSaving();
  const state = stateOf(run);
  const over = ["finished", "cancelled", "failed"].includes(state);
  const offered = over ? [] : state === "created" ? ["start", "cancel"] : state === "paused" ? ["resume", "cancel"] : ["pause", "cancel"];
  const newest = details.models[details.models.length - 1];
  const best = details.models.includes(run.best_round) ? run.best_round : newest;
  const chosen = round ?? best;
  const path = `/api/runs/${encodeURIComponent(run.id)}`;
  return (
    <>
      <div class="buttons">
        {offered.map((name) => {
          const action = kActions[name]!;
          const kind = action.dangerous ? "dangerous" : name === "pause" ? "" : "primary";
          return (
            <button key={name} type="button" class={kind} onClick={() => setAsking(action)}>
              {t(action.action)}
            </button>
          );
        })}
        {details.has_report && (
          <a class="button" href={`${path}/report`} download>
            {t(texts.download_report)}
          </a>
        )}
      </div>
      {chosen !== undefined && (
        <div class="buttons download">
          <label class="inline">
            {t(texts.model_round)}
            <select value={String(chosen)} onChange={(e) => setRound(Number(e.currentTarget.value))}>
              {[...details.models].reverse().map((r) => (
                <option key={r} value={String(r)}>
                  {r === run.best_round ? t(fill(texts.best_option, { round: r })) : r}
                </option>
              ))}
            </select>
          </label>
          <Saved path={`${path}/model.pt?round=${chosen}`} label={fill(texts.download_model, { round: chosen })} name={{ en: "model.pt", ja: "model.pt" }} saving={saving} />
          <Saved path={`${path}/model?round=${chosen}`} label={fill(texts.download_array, { round: chosen })} name={texts.array_file} saving={saving} />
        </div>
      )}
      {chosen !== undefined && (
        <>
          <p class="soft files">{t(saving.busy ? texts.making_file : texts.model_files)}</p>
          <Problem of={saving.problem} />
        </>
      )}
      {asking && (
        <Dialog
          title={asking.title}
          action={asking.action}
          dangerous={asking.dangerous ?? false}
          onClose={() => setAsking(null)}
          onAct={async () => {
            await call(`${path}/${asking.path}`, { body: {} });
            setAsking(null);
            await changed();
          }}
        >
          <p>
            <T of={asking.what} />
          </p>
        </Dialog>
      )}
    </>
  );
}

function Facts({ run }: { run: RunInfo }) {
  const t = useText();
  const facts: [Text, string][] = [
    [texts.created, t(moment(run.created_ms))],
    [texts.started, t(moment(run.started_ms))],
  ];
  if (run.finished_ms > 0) facts.push([texts.finished, t(moment(run.finished_ms))]);
  if (run.best_round >= 0) facts.push([texts.best_round, String(run.best_round)]);
  return (
    <dl class="facts-row">
      {facts.map(([name, value], i) => (
        <div key={i}>
          <dt>{t(name)}</dt>
          <dd class="words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

type Point = { round: number; value: number };

function pointsOf(rounds: RoundInfo[], value: (r: RoundInfo) => number | null): Point[] {
  return rounds.flatMap((r) => {
    const v = value(r);
    return isNumber(v) ? [{ round: r.round, value: v }] : [];
  });
}

const kValidation = strokeOf("pooled");
const kTest = strokeOf("federated");

function RoundChart(props: { label: string; lines: { points: Point[]; stroke: typeof kTest }[]; last: number; best: number | null }) {
  const t = useText();
  const values = props.lines.flatMap((l) => l.points.map((p) => p.value));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const pad = Math.max(0.01, (most - least) * 0.08);
  const draw = (width: number): Plot.PlotOptions => ({
    height: Math.min(260, Math.round(width * 0.7)),
    marginLeft: 44,
    marginBottom: 44,
    marginTop: 12,
    marginRight: 16,
    x: {
      domain: [0, Math.max(1, props.last)],
      label: t(texts.round),
      labelAnchor: "center",
      labelArrow: "none",
      labelOffset: 40,
      ticks: 6,
      tickFormat: (x: number) => (Number.isInteger(x) ? String(x) : ""),
    },
    y: { domain: [least - pad, most + pad], label: null, ticks: 5, nice: true },
    marks: [
      Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.frame({ strokeOpacity: 0.5 }),
      ...(props.best !== null ? [Plot.ruleX([props.best], { strokeOpacity: 0.45, strokeDasharray: "2 3" })] : []),
      ...props.lines.flatMap((l) => [
        Plot.line(l.points, {
          x: "round",
          y: "value",
          stroke: l.stroke.color,
          strokeWidth: 2.2,
          ...(l.stroke.dash ? { strokeDasharray: l.stroke.dash } : {}),
        }),
        Plot.dot(l.points, { x: "round", y: "value", r: 3, fill: l.stroke.color, symbol: l.stroke.symbol }),
      ]),
    ],
  });
  return <Chart label={props.label} draw={draw} max={520} />;
}

function Course({ details }: { details: RunDetails }) {
  const t = useText();
  const { rounds, run } = details;
  const validation = pointsOf(rounds, (r) => r.validation.auc);
  const test = pointsOf(rounds, (r) => r.test.auc);
  const loss = pointsOf(rounds, (r) => r.train_loss);
  const last = Math.max(1, ...rounds.map((r) => r.round));
  const say = (points: Point[], name: Text) => {
    const end = points[points.length - 1];
    return `${t(name)}: ${end ? `${t(texts.round)} ${end.round}, ${fixed(end.value, 3)}` : kNone}`;
  };
  const methods = new Set(rounds.flatMap((r) => [r.validation.method, r.test.method]));
  const method = methods.has("histograms") ? texts.auc_histograms : methods.has("metrics") ? texts.auc_metrics : null;
  if (run.state === "created") return null;
  return (
    <>
      <h2>
        <T of={texts.course} />
      </h2>
      {validation.length + test.length + loss.length === 0 && (
        <p class="soft">
          <T of={texts.nothing_tested} />
        </p>
      )}
      <div class="pair">
        {validation.length + test.length > 0 && (
          <Figure
            title={texts.auc_title}
            reading={sentences(texts.auc_reading, method)}
            legend={
              <Legend
                entries={[
                  { stroke: kValidation, name: t(texts.validation) },
                  { stroke: kTest, name: t(texts.test) },
                ]}
              />
            }
          >
            <RoundChart
              label={`${t(texts.auc_title)} ${say(validation, texts.validation)}; ${say(test, texts.test)}`}
              lines={[
                { points: validation, stroke: kValidation },
                { points: test, stroke: kTest },
              ]}
              last={last}
              best={run.best_round >= 0 ? run.best_round : null}
            />
          </Figure>
        )}
        {loss.length > 0 && (
          <Figure title={texts.loss_title} reading={texts.loss_reading}>
            <RoundChart
              label={`${t(texts.loss_title)} ${say(loss, texts.train_loss)}`}
              lines={[{ points: loss, stroke: strokeOf("alone") }]}
              last={last}
              best={null}
            />
          </Figure>
        )}
      </div>
    </>
  );
}

const kBooks = ["answered", "refused", "failed", "late", "waiting"];

export function booksOf(asks: AskInfo[]): [string, number][] {
  return kBooks.map((state) => [state, asks.filter((a) => a.state === state).length]);
}

function Books({ asks }: { asks: AskInfo[] }) {
  const t = useText();
  return (
    <span class="books">
      <span>
        {t(texts.asked)} {asks.length}
      </span>
      {booksOf(asks)
        .filter(([, n]) => n > 0)
        .map(([state, n]) => {
          const name = named(kAskStates, state);
          return (
            <State key={state} tone={name.tone}>
              {t(name)} {n}
            </State>
          );
        })}
    </span>
  );
}

function Rounds({ details }: { details: RunDetails }) {
  const t = useText();
  const [all, setAll] = useState(false);
  const rounds = details.rounds.filter((r) => r.round > 0).reverse();
  const shown = all ? rounds : rounds.slice(0, kRoundsShown);
  if (details.run.state === "created") return null;
  return (
    <>
      <h2>
        <T of={texts.rounds} />
      </h2>
      {rounds.length === 0 ? (
        <p class="soft">
          <T of={texts.no_rounds} />
        </p>
      ) : (
        <Table
          caption={texts.rounds_caption}
          note={all || rounds.length <= kRoundsShown ? null : fill(texts.rounds_shown, { shown: shown.length, all: rounds.length })}
          columns={[
            { title: t(texts.round) },
            { title: t(texts.asked), numeric: true },
            ...kBooks.map((state) => ({ title: t(named(kAskStates, state)), numeric: true })),
            { title: t(texts.took), numeric: true },
            { title: t(texts.train_loss), numeric: true },
            { title: t(texts.validation_auc), numeric: true },
            { title: t(texts.test_auc), numeric: true },
          ]}
          rows={shown.map((r) => ({
            head: r.closed_ms > 0 ? r.round : <State tone="busy">{`${r.round} ${t(texts.open)}`}</State>,
            strong: r.round === details.run.best_round,
            cells: [
              r.asks.length,
              ...booksOf(r.asks).map(([state, n]) => {
                const sites = r.asks.filter((a) => a.state === state);
                const why = sites.map((a) => (a.why ? `${visible(a.site)}: ${visible(a.why)}` : visible(a.site))).join("\n");
                return n === 0 ? <span class="zero">0</span> : <span title={why}>{n}</span>;
              }),
              r.closed_ms > 0 ? t(duration((r.closed_ms - r.opened_ms) / 1000)) : kNone,
              fixed(r.train_loss, 3),
              fixed(r.validation.auc, 3),
              fixed(r.test.auc, 3),
            ],
          }))}
        />
      )}
      {!all && rounds.length > kRoundsShown && (
        <button type="button" onClick={() => setAll(true)}>
          {t(texts.show_all)}
        </button>
      )}
    </>
  );
}

const total = (counts: number[]) => count(counts.reduce((a, b) => a + b, 0));

function RunSites({ details }: { details: RunDetails }) {
  const t = useText();
  if (details.run.state === "created") return null;
  const latest = details.rounds.filter((r) => r.round > 0).pop();
  return (
    <>
      <h2>
        <T of={texts.sites} />
      </h2>
      {details.sites.length === 0 ? (
        <p class="soft">
          <T of={texts.no_run_sites} />
        </p>
      ) : (
        <Table
          caption={texts.sites_caption}
          note={texts.counts_note}
          columns={[
            { title: t(texts.site) },
            { title: t(texts.state) },
            { title: t(texts.train_images), numeric: true },
            { title: t(texts.validation), numeric: true },
            { title: t(texts.test), numeric: true },
            { title: t(texts.latest_answer) },
            { title: t(texts.train_loss), numeric: true },
            { title: t(texts.change_norm), numeric: true },
          ]}
          rows={details.sites.map((site) => {
            const state = named(kRunSiteStates, site.state);
            const ask = latest?.asks.find((a) => a.site === site.site);
            const answer = ask && named(kAskStates, ask.state);
            return {
              head: <span class="keep">{visible(site.site)}</span>,
              cells: [
                <>
                  <State tone={state.tone}>{t(state)}</State>
                  {site.why && <div class="soft">{visible(site.why)}</div>}
                </>,
                total(site.counts.train),
                total(site.counts.validation),
                total(site.counts.test),
                answer ? (
                  <>
                    <State tone={answer.tone}>{t(answer)}</State>
                    {ask.why && <div class="soft">{visible(ask.why)}</div>}
                  </>
                ) : (
                  kNone
                ),
                fixed(ask?.train_loss, 3),
                fixed(ask?.l2, 2),
              ],
            };
          })}
        />
      )}
    </>
  );
}

function Evaluations({ details }: { details: RunDetails }) {
  const t = useText();
  const global = details.evaluations.filter((e) => e.trained_by === "");
  if (global.length === 0) return null;
  const last = Math.max(...global.map((e) => e.round));
  const rows = global.filter((e) => e.round === last);
  return (
    <>
      <h2>
        <T of={texts.evaluations} />
      </h2>
      <Table
        caption={fill(texts.evaluations_caption, { round: last })}
        columns={[
          { title: t(texts.site) },
          { title: t(fill(texts.of_set, { set: texts.validation, what: texts.images })), numeric: true },
          { title: t(texts.auc), numeric: true },
          { title: t(texts.loss), numeric: true },
          { title: t(fill(texts.of_set, { set: texts.test, what: texts.images })), numeric: true },
          { title: t(texts.auc), numeric: true },
          { title: t(texts.loss), numeric: true },
        ]}
        rows={rows.map((e) => ({
          head: <span class="keep">{visible(e.site)}</span>,
          cells: [e.validation, e.test].flatMap((r) => [
            count(r?.images),
            fixed(r?.metrics["auc"], 3),
            fixed(r?.loss, 3),
          ]),
        }))}
      />
    </>
  );
}

function CrossSite({ details }: { details: RunDetails }) {
  const t = useText();
  const own = details.evaluations.filter((e) => e.trained_by !== "");
  if (own.length === 0) return null;
  const trainers = [...new Set(own.map((e) => e.trained_by))].sort();
  const testers = [...new Set(own.map((e) => e.site))].sort();
  return (
    <>
      <h2>
        <T of={texts.cross} />
      </h2>
      <Table
        caption={texts.cross_caption}
        class="matrix"
        columns={[{ title: t(texts.trained_at) }, ...testers.map((s) => ({ title: visible(s), numeric: true }))]}
        rows={trainers.map((trainer) => ({
          head: <span class="keep">{visible(trainer)}</span>,
          cells: testers.map((site) => {
            const e = own.find((x) => x.trained_by === trainer && x.site === site);
            return <span class={trainer === site ? "own" : undefined}>{fixed(e?.test?.metrics["auc"], 3)}</span>;
          }),
        }))}
      />
    </>
  );
}
