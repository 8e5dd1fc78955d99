// A new run from its agreement; the server says what is wrong with it.
import { useEffect, useState } from "preact/hooks";
import { visible } from "../kit/format";
import { fill, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { ApiError, call } from "../live/api";
import { Problem, sentenceOf } from "../live/parts";
import { texts } from "./texts";

export function CreateRun({ created }: { created: (run: string) => void }) {
  const t = useText();
  const [toml, setToml] = useState("");
  const [problem, setProblem] = useState<Text | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    call<{ toml: string }>("/api/template").then(
      (answer) => setToml((typed) => (typed === "" ? answer.toml : typed)),
      (e) => setProblem(sentenceOf(e)),
    );
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      created((await call<{ id: string }>("/api/runs", { body: { toml } })).id);
    } catch (e) {
      const refused = e instanceof ApiError && e.status === 400;
      setProblem(refused ? fill(texts.create_refused, { why: visible(e.message) }) : sentenceOf(e));
      setBusy(false);
    }
  };
  return (
    <>
      <h2>
        <T of={texts.new_run} />
      </h2>
      <p>
        <T of={texts.create_intro} />
      </p>
      <form onSubmit={submit}>
        <label>
          {t(texts.create_label)}
          <textarea
            class="code"
            name="toml"
            rows={24}
            spellcheck={false}
            autocapitalize="none"
            wrap="off"
            value={toml}
            onInput={(e) => setToml(e.currentTarget.value)}
          />
        </label>
        <Problem of={problem} />
        <div class="buttons">
          <button type="submit" class="primary" disabled={busy || toml.trim() === ""}>
            {t(texts.create)}
          </button>
        </div>
      </form>
    </>
  );
}
