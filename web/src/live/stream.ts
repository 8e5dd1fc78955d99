// Server-sent events. The browser connects again by itself, and says behind which event it was.
import { useEffect, useRef, useState } from "preact/hooks";

export type Connection = "connecting" | "live" | "lost";

export interface Listeners {
  state?: (data: unknown) => void;
  event?: (data: unknown) => void;
}

export function useLive(path: string, listeners: Listeners): Connection {
  const [connection, setConnection] = useState<Connection>("connecting");
  const current = useRef(listeners);
  current.current = listeners;
  useEffect(() => {
    if (typeof EventSource === "undefined") return;
    let source: EventSource | null = null;
    let again: ReturnType<typeof setTimeout> | undefined;
    const connect = () => {
      const opened = new EventSource(path);
      source = opened;
      opened.onopen = () => setConnection("live");
      opened.onerror = () => {
        setConnection("lost");
        // The browser gives up on an answer that is an error (a server that starts, a session that ended).
        if (opened.readyState !== EventSource.CLOSED) return;
        opened.close();
        again = setTimeout(connect, 3000);
      };
      for (const name of ["state", "event"] as const) {
        opened.addEventListener(name, (message) => {
          let data: unknown;
          try {
            data = JSON.parse((message as MessageEvent<string>).data);
          } catch {
            return;
          }
          current.current[name]?.(data);
        });
      }
    };
    connect();
    return () => {
      clearTimeout(again);
      source?.close();
    };
  }, [path]);
  return connection;
}
