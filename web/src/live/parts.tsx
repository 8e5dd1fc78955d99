// What both live pages are made of: frame, sign-in, dialogs, buttons, states.
import { Fragment } from "preact";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { visible } from "../kit/format";
import { fill, LanguageProvider, LanguageSwitch, T, useText } from "../kit/language";
import type { Text } from "../kit/language";
import { Guard } from "../kit/section";
import { ApiError, currentSession, signIn, signOut, whenSignedOut } from "./api";
import type { SessionInfo } from "./api";
import type { Connection } from "./stream";
import { texts } from "./texts";
import { moment } from "./time";

// An error as a sentence.
export function sentenceOf(error: unknown): Text {
  if (error instanceof ApiError) {
    if (error.status === 0) return texts.no_answer;
    if (error.status === 429) return fill(texts.too_many, { seconds: error.wait_seconds || 1 });
    const why = error.message === "" ? fill(texts.unknown_reason, { status: error.status }) : visible(error.message);
    return fill(texts.failed, { why });
  }
  return fill(texts.failed, { why: visible(error instanceof Error ? error.message : error) });
}

export function Problem({ of }: { of: Text | null }) {
  return (
    <div role="alert" class="problem-place">
      {of && (
        <p class="problem-line">
          <T of={of} />
        </p>
      )}
    </div>
  );
}

export type Tone = "good" | "busy" | "wait" | "bad" | "off";

// A state as a mark and a word: never a colour alone.
export function State({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`state state-${tone}`}>{children}</span>;
}

export function Progress({ value, max, label }: { value: number; max: number; label: string }) {
  return <progress value={Math.min(value, max)} max={Math.max(1, max)} aria-label={label} />;
}

// A modal dialog with a form. `onDone` may fail: then it stays open and says why.
export function Dialog(props: {
  title: Text;
  children: ComponentChildren;
  action: Text;
  dangerous?: boolean;
  told?: boolean; // it says something and asks nothing: the action is all that there is to do
  onAct: () => Promise<void>;
  onClose: () => void;
}) {
  const t = useText();
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState<Text | null>(null);
  const [busy, setBusy] = useState(false);
  useLayoutEffect(() => {
    const element = dialog.current;
    // The page's own return of focus: to what opened the dialog.
    const before = document.activeElement;
    if (element && !element.open) {
      if (typeof element.showModal === "function") element.showModal();
      else element.setAttribute("open", "");
    }
    return () => {
      // Until it is closed, nothing outside of it can have the focus.
      if (element?.open && typeof element.close === "function") element.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const act = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await props.onAct();
    } catch (e) {
      setProblem(sentenceOf(e));
    } finally {
      setBusy(false);
    }
  };
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <form onSubmit={act}>
        <h2 id={id}>{t(props.title)}</h2>
        {props.children}
        <Problem of={problem} />
        <div class="buttons">
          {!props.told && (
            <button type="button" onClick={props.onClose}>
              {t(texts.cancel)}
            </button>
          )}
          <button type="submit" class={props.dangerous ? "dangerous" : "primary"} disabled={busy}>
            {t(props.action)}
          </button>
        </div>
      </form>
    </dialog>
  );
}

// A secret or a hash with a button that copies it.
export function Copyable({ text, label }: { text: string; label: Text }) {
  const t = useText();
  const [copied, setCopied] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without a secure context: the old way.
      field.current?.select();
      document.execCommand?.("copy");
    }
    setCopied(true);
  };
  return (
    <div class="copyable">
      <textarea ref={field} readOnly rows={4} value={text} aria-label={t(label)} onFocus={() => field.current?.select()} />
      <button type="button" onClick={copy}>
        {t(texts.copy)}
      </button>
      <span role="status">{copied && t(texts.copied)}</span>
    </div>
  );
}

// A moment in a cell: where there is no room, the date stands above the time, and neither is broken.
export function When({ ms }: { ms: number }) {
  const parts = useText()(moment(ms)).split(" ");
  return (
    <>
      {parts.map((part, i) => (
        <Fragment key={i}>
          {i > 0 && " "}
          <span class="keep">{part}</span>
        </Fragment>
      ))}
    </>
  );
}

export function ConnectionMark({ connection }: { connection: Connection }) {
  const t = useText();
  const tone: Tone = connection === "live" ? "good" : connection === "lost" ? "bad" : "wait";
  return (
    <span role="status" class="connection">
      <State tone={tone}>{t(texts[connection])}</State>
    </span>
  );
}

function SignInForm(props: { title: Text; command: string; ended: boolean; onSignedIn: (session: SessionInfo) => void }) {
  const t = useText();
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Text | null>(null);
  const [busy, setBusy] = useState(false);
  const name = useRef<HTMLInputElement>(null);
  useEffect(() => name.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      props.onSignedIn(await signIn(user, password));
    } catch (e) {
      setPassword("");
      if (e instanceof ApiError && e.status === 401) setProblem(texts.wrong_password);
      else if (e instanceof ApiError && e.status === 409) setProblem(fill(texts.no_password_yet, { command: props.command }));
      else setProblem(sentenceOf(e));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <p class="kind">Manako</p>
      <h1>{t(props.title)}</h1>
      {props.ended && <p role="status">{t(texts.signed_out)}</p>}
      <form onSubmit={submit}>
        <label>
          {t(texts.user)}
          <input
            ref={name}
            name="user"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            required
            maxLength={128}
            value={user}
            onInput={(e) => setUser(e.currentTarget.value)}
          />
        </label>
        <label>
          {t(texts.password)}
          <input
            name="password"
            type="password"
            autocomplete="current-password"
            required
            maxLength={1024}
            value={password}
            onInput={(e) => setPassword(e.currentTarget.value)}
          />
        </label>
        <Problem of={problem} />
        <button type="submit" class="primary" disabled={busy}>
          {t(texts.sign_in)}
        </button>
      </form>
    </main>
  );
}

// The frame: language, sign-in, sign-out. `children` is drawn when somebody is signed in.
export function Frame(props: { title: Text; command: string; children: (session: SessionInfo) => ComponentChildren }) {
  const [session, setSession] = useState<SessionInfo | null | "asking" | "no answer">("asking");
  const [ended, setEnded] = useState(false);
  useEffect(() => {
    whenSignedOut(() => {
      setEnded(true);
      setSession(null);
    });
    let again: ReturnType<typeof setTimeout> | undefined;
    const ask = () =>
      currentSession().then(setSession, () => {
        setSession("no answer");
        again = setTimeout(ask, 3000);
      });
    void ask();
    return () => clearTimeout(again);
  }, []);
  const leave = async () => {
    await signOut();
    setEnded(false);
    setSession(null);
  };
  const signedIn = session !== null && typeof session === "object";
  return (
    <LanguageProvider>
      {(language, choose) => (
        <>
          <div class="bar">
            {signedIn && (
              <>
                <span class="who">
                  <T of={fill(texts.signed_in_as, { user: visible(session.user) })} />
                </span>
                <button type="button" onClick={leave}>
                  <T of={texts.sign_out} />
                </button>
              </>
            )}
            <LanguageSwitch language={language} choose={choose} />
          </div>
          {session === "asking" && (
            <main class="problem" aria-busy="true">
              <p>
                <T of={texts.loading} />
              </p>
            </main>
          )}
          {session === "no answer" && (
            <main class="problem">
              <p role="alert">
                <T of={texts.no_answer} />
              </p>
            </main>
          )}
          {session === null && (
            <SignInForm title={props.title} command={props.command} ended={ended} onSignedIn={setSession} />
          )}
          {signedIn && <Guard>{props.children(session)}</Guard>}
        </>
      )}
    </LanguageProvider>
  );
}

// The document's title.
export function Title({ text }: { text: string }) {
  useEffect(() => {
    document.title = text;
  }, [text]);
  return null;
}

// The page's address is #view=...&run=...&lang=...: language and view stand side by side.
export function useAddress(): [URLSearchParams, (values: Record<string, string>) => void] {
  const read = () => new URLSearchParams(location.hash.replace(/^#/, ""));
  const [address, setAddress] = useState(read);
  useEffect(() => {
    const changed = () => setAddress(read());
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  const go = (values: Record<string, string>) => {
    const next = new URLSearchParams(values);
    const language = read().get("lang");
    if (language) next.set("lang", language);
    location.hash = next.toString();
  };
  return [address, go];
}

export function addressOf(values: Record<string, string>): string {
  const next = new URLSearchParams(values);
  const language = new URLSearchParams(location.hash.replace(/^#/, "")).get("lang");
  if (language) next.set("lang", language);
  return `#${next.toString()}`;
}

// The clock, for "3 min ago": once every ten seconds.
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
