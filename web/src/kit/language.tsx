// The page's two languages. A text is an object with both, so a text without its translation does not compile; what is
// shown is chosen where it is drawn. The choice is kept in the address (#lang=ja, so that a link carries it) and in
// localStorage (where the browser allows it: not every one does for file://).
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";

export type Language = "en" | "ja";
export interface Text {
  en: string;
  ja: string;
}

const kStorageKey = "manako-language";
export const kLanguages: readonly { language: Language; name: string }[] = [
  { language: "en", name: "English" },
  { language: "ja", name: "日本語" },
];

// "{name}" in a text becomes values.name, once: a value that itself contains braces stays as it is. A name without a
// value stays visible, as a mistake that a reader can report.
export function fill(text: Text, values: Record<string, string | number | Text>): Text {
  const one = (language: Language) =>
    text[language].replace(/\{(\w+)\}/g, (whole, name: string) => {
      if (!Object.prototype.hasOwnProperty.call(values, name)) return whole;
      const value = values[name];
      if (typeof value === "object") return value[language];
      return String(value);
    });
  return { en: one("en"), ja: one("ja") };
}

// Sentences one after another: English puts a space between them, Japanese does not.
export function sentences(...parts: (Text | null | undefined | false)[]): Text {
  const kept = parts.filter((p): p is Text => !!p);
  return { en: kept.map((p) => p.en).join(" "), ja: kept.map((p) => p.ja).join("") };
}

export function fromHash(hash: string): Language | null {
  const value = new URLSearchParams(hash.replace(/^#/, "")).get("lang");
  return value === "en" || value === "ja" ? value : null;
}

function stored(): Language | null {
  try {
    const value = window.localStorage.getItem(kStorageKey);
    return value === "en" || value === "ja" ? value : null;
  } catch {
    return null;
  }
}

export function initialLanguage(): Language {
  const preferred = navigator.languages?.[0] ?? navigator.language ?? "en";
  return fromHash(location.hash) ?? stored() ?? (/^ja\b/i.test(preferred) ? "ja" : "en");
}

function remember(language: Language) {
  try {
    window.localStorage.setItem(kStorageKey, language);
  } catch {
    // The address still carries it.
  }
  try {
    const parameters = new URLSearchParams(location.hash.replace(/^#/, ""));
    parameters.set("lang", language);
    history.replaceState(null, "", `#${parameters.toString()}`);
  } catch {
    // Some viewers forbid it for local files; localStorage may still have it.
  }
}

const LanguageContext = createContext<Language>("en");

export function useLanguage(): Language {
  return useContext(LanguageContext);
}

// t(text) is the text in the language that is switched on.
export function useText(): (text: Text) => string {
  const language = useLanguage();
  return (text) => text[language];
}

export function T({ of }: { of: Text }) {
  return <>{useText()(of)}</>;
}

export function LanguageProvider(props: {
  children: (language: Language, choose: (language: Language) => void) => ComponentChildren;
}) {
  const [language, setLanguage] = useState(initialLanguage);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  useEffect(() => {
    const onHash = () => {
      const asked = fromHash(location.hash);
      if (asked) setLanguage(asked);
    };
    window.addEventListener("hashchange", onHash);
    return () => window.removeEventListener("hashchange", onHash);
  }, []);
  const choose = (next: Language) => {
    setLanguage(next);
    remember(next);
  };
  return (
    <LanguageContext.Provider value={language}>
      {props.children(language, choose)}
    </LanguageContext.Provider>
  );
}

export function LanguageSwitch(props: { language: Language; choose: (l: Language) => void }) {
  return (
    <div class="languages" role="group" aria-label="Language / 言語">
      {kLanguages.map(({ language, name }) => (
        <button
          type="button"
          lang={language}
          key={language}
          aria-pressed={language === props.language}
          onClick={() => props.choose(language)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
