// The branch hospital's own page: what runs here, what waits for a person, what has left.
import { useCallback, useEffect, useState } from "preact/hooks";
import { fixed, kNone, visible } from "../kit/format";
import { fill, sentences, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { Folding, Guard } from "../kit/section";
import { Table } from "../kit/table";
import { kPhases, named, textOf } from "../dashboard/labels";
import { call } from "../live/api";
import { ConnectionMark, Dialog, Frame, Problem, Progress, sentenceOf, State, Title, useNow, When } from "../live/parts";
import { useLive } from "../live/stream";
import { ago, bytes } from "../live/time";
import { texts as live } from "../live/texts";
import type { LedgerPage, LocalRun, LocalStatus, Overview, QuestionInfo } from "./data";
import { kAnswers, kKinds, kReceipts, kStages } from "./labels";
import { lineText } from "./lines";
import { texts } from "./texts";

const kLines = 25;

export function Page() {
  return (
    <Frame title={texts.page} command="manako site password FOLDER">
      {() => <Site />}
    </Frame>
  );
}

function Site() {
  const t = useText();
  const [overview, setOverview] = useState<Overview | null>(null);
  const connection = useLive("/api/live", { state: (data) => setOverview(data as Overview) });
  const name = overview ? visible(overview.status.site) : "Manako";
  const waiting = overview?.questions.filter((q) => q.state === "waiting") ?? [];
  const mark = waiting.length > 0 ? `(${waiting.length}) ` : "";
  return (
    <div class="live">
      <Title text={`${mark}${name} – Manako`} />
      <header>
        <p class="kind">
          Manako · <T of={texts.page} />
        </p>
        <div class="masthead">
          <h1>
            <bdi>{name}</bdi>
          </h1>
          <ConnectionMark connection={connection} />
        </div>
        {overview && (
          <p class="made">
            {t(
              fill(texts.facts, {
                federation: visible(overview.status.federation),
                server: visible(overview.status.server),
                version: visible(overview.status.version),
              }),
            )}
          </p>
        )}
      </header>
      <main>
        {!overview ? (
          <p aria-busy="true">
            <T of={live.loading} />
          </p>
        ) : (
          <>
            <Guard>
              <Now status={overview.status} />
            </Guard>
            <Guard>
              <Approvals questions={overview.questions} runs={overview.runs} />
            </Guard>
            <Guard>
              <Runs runs={overview.runs} />
            </Guard>
            <Guard>
              <Ledger last={overview.last_line} runs={overview.runs} />
            </Guard>
          </>
        )}
      </main>
    </div>
  );
}

function headlineOf(status: LocalStatus): { lead: Text; more: Text | null; tone: string } {
  if (!status.agent_runs) return { lead: texts.not_running, more: texts.not_running_more, tone: "now-bad" };
  if (status.problem !== "") {
    const problem = visible(status.problem);
    return { lead: { en: problem, ja: problem }, more: null, tone: "now-bad" };
  }
  if (!status.connected) return { lead: texts.disconnected, more: texts.disconnected_more, tone: "now-bad" };
  const work = status.work;
  if (work.run !== "" && work.phase !== "idle") {
    const phase = textOf(kPhases, work.phase);
    const run = visible(status.run_name || work.run);
    const upper = { en: phase.en.charAt(0).toUpperCase() + phase.en.slice(1), ja: phase.ja };
    return { lead: fill(texts.working, { phase: upper, run }), more: null, tone: status.paused ? "now-wait" : "" };
  }
  if (status.paused) return { lead: texts.stopped, more: null, tone: "now-wait" };
  return { lead: texts.idle, more: null, tone: "" };
}

function Now({ status }: { status: LocalStatus }) {
  const t = useText();
  const now = useNow();
  const [asking, setAsking] = useState(false);
  const { lead, more, tone } = headlineOf(status);
  const work = status.work;
  const busy = status.agent_runs && work.run !== "" && work.phase !== "idle";
  const steps = busy && work.steps > 0;
  const skew = Math.round(status.clock_skew_ms / 1000);
  const details = [
    busy && work.round > 0 ? fill(texts.in_round, { round: work.round }) : null,
    steps ? fill(texts.step, { step: work.step, steps: work.steps }) : null,
    busy && work.images_per_second ? fill(texts.speed, { speed: fixed(work.images_per_second, 1) }) : null,
  ].flatMap((x) => (x ? [t(x)] : []));
  const path = status.paused ? "/api/resume" : "/api/pause";
  return (
    <>
      <h2>
        <T of={texts.now} />
      </h2>
      <div class={`now ${tone}`}>
        <p class="lead" role="status">
          {t(lead)}
        </p>
        {steps && <Progress value={work.step} max={work.steps} label={t(fill(texts.step, { step: work.step, steps: work.steps }))} />}
        {details.length > 0 && <p class="soft">{details.join(" · ")}</p>}
        {(more || (busy && status.paused)) && (
          <p class="soft">{t(sentences(more, busy && status.paused && texts.stopped))}</p>
        )}
        <div class="buttons">
          <button type="button" class={status.paused ? "primary" : "dangerous"} onClick={() => setAsking(true)}>
            {t(status.paused ? texts.resume : texts.stop)}
          </button>
        </div>
      </div>
      <p>
        <T of={texts.promise} />
      </p>
      <dl class="facts-row">
        <div>
          <dt>{t(texts.server)}</dt>
          <dd class="words">
            <State tone={status.connected && status.agent_runs ? "good" : "bad"}>
              {t(status.connected && status.agent_runs ? texts.connected : live.lost)}
            </State>
          </dd>
        </div>
        <div>
          <dt>{t(texts.last_report)}</dt>
          <dd class="words">{t(ago(status.reported_ms, now))}</dd>
        </div>
        <div>
          <dt>{t(texts.rounds_today)}</dt>
          <dd class="words">{status.rounds_in_a_day}</dd>
        </div>
        <div>
          <dt>{t(texts.clock)}</dt>
          <dd class="words">
            {Math.abs(skew) < 2 ? t(texts.same_clock) : t(fill(texts.seconds, { seconds: `${skew > 0 ? "+" : "−"}${Math.abs(skew)}` }))}
          </dd>
        </div>
      </dl>
      {asking && (
        <Dialog
          title={status.paused ? texts.resume_question : texts.stop_question}
          action={status.paused ? texts.resume : texts.stop}
          dangerous={!status.paused}
          onClose={() => setAsking(false)}
          onAct={async () => {
            await call(path, { body: {} });
            setAsking(false);
          }}
        >
          <p>
            <T of={status.paused ? texts.resume_what : texts.stop_what} />
          </p>
        </Dialog>
      )}
    </>
  );
}

function titleOf(question: QuestionInfo): Text {
  const name = visible(question.name || question.run);
  return fill(question.round > 0 ? texts.question_round : texts.question_run, { name, round: question.round });
}

function Approvals({ questions, runs }: { questions: QuestionInfo[]; runs: LocalRun[] }) {
  const t = useText();
  const now = useNow();
  const [answering, setAnswering] = useState<{ question: QuestionInfo; granted: boolean } | null>(null);
  const waiting = questions.filter((q) => q.state === "waiting");
  const answered = questions.filter((q) => q.state !== "waiting");
  return (
    <>
      <h2>
        <T of={texts.approvals} />
      </h2>
      <div aria-live="polite">
        {waiting.length === 0 && (
          <p class="soft">
            <T of={texts.no_approvals} />
          </p>
        )}
        {waiting.map((q) => {
          const config = runs.find((r) => r.run === q.run)?.config ?? "";
          return (
            <section class="question" key={`${q.run}@${q.round}`} aria-label={t(titleOf(q))}>
              <h3>{t(titleOf(q))}</h3>
              <p class="soft">{t(fill(texts.asked, { when: ago(q.asked_ms, now) }))}</p>
              <div class="columns">
                <Lines title={texts.would_train} lines={q.facts} />
                <Lines title={texts.would_leave} lines={q.leaves} />
              </div>
              {config !== "" && (
                <Folding summary={texts.agreement}>
                  <pre tabIndex={0}>{config}</pre>
                </Folding>
              )}
              <div class="buttons">
                <button type="button" class="primary" onClick={() => setAnswering({ question: q, granted: true })}>
                  {t(texts.approve)}
                </button>
                <button type="button" class="dangerous" onClick={() => setAnswering({ question: q, granted: false })}>
                  {t(texts.refuse)}
                </button>
              </div>
            </section>
          );
        })}
      </div>
      {answered.length > 0 && (
        <Folding summary={texts.answered}>
          <Table
            caption={texts.answered}
            columns={[{ title: t(texts.question) }, { title: t(texts.answer) }, { title: t(texts.by) }, { title: t(texts.when) }]}
            rows={answered.map((q) => {
              const answer = named(kAnswers, q.state);
              return {
                head: t(titleOf(q)),
                cells: [
                  <>
                    <State tone={answer.tone}>{t(answer)}</State>
                    {q.why && <div class="soft">{visible(q.why)}</div>}
                  </>,
                  visible(q.by),
                  <When ms={q.answered_ms} />,
                ],
              };
            })}
          />
        </Folding>
      )}
      {answering && <Answer {...answering} close={() => setAnswering(null)} />}
    </>
  );
}

function Lines({ title, lines }: { title: Text; lines: string[] }) {
  const t = useText();
  if (lines.length === 0) return null;
  return (
    <div>
      <h4>{t(title)}</h4>
      <ul>
        {lines.map((line, i) => (
          <li key={i}>{t(lineText(line))}</li>
        ))}
      </ul>
    </div>
  );
}

function Answer({ question, granted, close }: { question: QuestionInfo; granted: boolean; close: () => void }) {
  const t = useText();
  const [why, setWhy] = useState("");
  const name = visible(question.name || question.run);
  return (
    <Dialog
      title={fill(granted ? texts.approve_question : texts.refuse_question, { name })}
      action={granted ? texts.approve : texts.refuse}
      dangerous={!granted}
      onClose={close}
      onAct={async () => {
        await call("/api/answer", { body: { run: question.run, round: question.round, granted, why } });
        close();
      }}
    >
      <p>
        <T of={granted ? texts.approve_what : texts.refuse_what} />
      </p>
      {granted ? (
        <ul>
          {question.leaves.map((line, i) => (
            <li key={i}>{t(lineText(line))}</li>
          ))}
        </ul>
      ) : (
        <label>
          {t(texts.reason)}
          <input name="why" required maxLength={300} value={why} onInput={(e) => setWhy(e.currentTarget.value)} />
        </label>
      )}
    </Dialog>
  );
}

function Runs({ runs }: { runs: LocalRun[] }) {
  const t = useText();
  return (
    <>
      <h2>
        <T of={texts.runs} />
      </h2>
      {runs.length === 0 ? (
        <p class="soft">
          <T of={texts.no_runs} />
        </p>
      ) : (
        <Table
          caption={texts.runs_caption}
          columns={[{ title: t(texts.name) }, { title: t(texts.state) }, { title: t(texts.rounds_here), numeric: true }]}
          rows={runs.map((run) => {
            const stage = named(kStages, run.stage);
            return {
              head: <bdi>{visible(run.name || run.run)}</bdi>,
              cells: [
                <>
                  <State tone={stage.tone}>{t(stage)}</State>
                  {run.why && run.why !== "finished" && <div class="soft">{visible(run.why)}</div>}
                </>,
                run.rounds > 0 ? `${run.round} / ${run.rounds}` : run.round > 0 ? run.round : kNone,
              ],
            };
          })}
        />
      )}
    </>
  );
}

function Hash({ of }: { of: string }) {
  const text = visible(of);
  return text === "" ? (
    <>{kNone}</>
  ) : (
    <span class="hash" title={text} aria-label={text}>
      {text.slice(0, 12)}…
    </span>
  );
}

function Ledger({ last, runs }: { last: number; runs: LocalRun[] }) {
  const t = useText();
  const [page, setPage] = useState<LedgerPage | null>(null);
  const [before, setBefore] = useState(0);
  const [problem, setProblem] = useState<Text | null>(null);
  const fetchPage = useCallback(async (from: number) => {
    try {
      setPage(await call<LedgerPage>(`/api/ledger?before=${from}&limit=${kLines}`, { background: true }));
      setProblem(null);
    } catch (e) {
      setProblem(sentenceOf(e));
    }
  }, []);
  // Older lines never change; the newest ones are read again when one is added.
  useEffect(() => void fetchPage(before), [before, before === 0 ? last : 0, fetchPage]);
  const oldest = page?.entries[page.entries.length - 1]?.seq ?? 0;
  return (
    <>
      <h2>
        <T of={texts.ledger} />
      </h2>
      <Problem of={problem ?? (page && !page.intact ? fill(texts.ledger_broken, { why: visible(page.problem) }) : null)} />
      {page && page.lines === 0 && (
        <p class="soft">
          <T of={texts.ledger_empty} />
        </p>
      )}
      {page && page.entries.length > 0 && (
        <Table
          caption={texts.ledger_caption}
          note={page.intact ? fill(texts.ledger_intact, { lines: page.lines }) : null}
          class="ledger"
          columns={[
            { title: t(texts.line), numeric: true },
            { title: t(texts.time) },
            { title: t(texts.what) },
            { title: t(texts.run) },
            { title: t(texts.round), numeric: true },
            { title: t(texts.size), numeric: true },
            { title: t(texts.norm), numeric: true },
            { title: t(texts.sha256) },
            { title: t(texts.recipient) },
          ]}
          rows={page.entries.map((e) => {
            const receipt = e.receipt === "" ? null : named(kReceipts, e.receipt);
            return {
              cells: [
                e.seq,
                <When ms={e.time_ms} />,
                receipt ? (
                  <>
                    <State tone={receipt.tone}>
                      {t(fill(texts.receipt_is, { kind: textOf(kKinds, e.kind), state: receipt }))}
                    </State>
                    <div class="soft">
                      {e.why ? visible(e.why) : e.log_seq > 0 ? t(fill(texts.server_line, { line: e.log_seq })) : ""}
                    </div>
                  </>
                ) : (
                  <>
                    {t(textOf(kKinds, e.kind))}
                    <div class="soft">{visible(e.contents)}</div>
                  </>
                ),
                <bdi>{visible(runs.find((r) => r.run === e.run)?.name || e.run)}</bdi>,
                e.round > 0 ? e.round : kNone,
                receipt ? kNone : bytes(e.bytes),
                fixed(e.l2, 2),
                <Hash of={e.sha256} />,
                <span class="keep" title={visible(e.recipient_fingerprint)}>
                  {visible(e.recipient)}
                </span>,
              ],
            };
          })}
        />
      )}
      <div class="buttons">
        {oldest > 1 && (
          <button type="button" onClick={() => setBefore(oldest)}>
            {t(texts.earlier)}
          </button>
        )}
        {before > 0 && (
          <button type="button" onClick={() => setBefore(0)}>
            {t(texts.newest_first)}
          </button>
        )}
      </div>
    </>
  );
}
