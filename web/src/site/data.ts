// What the site's program tells the page (src/dashboard/admin_json.h). Times are milliseconds since 1970; 0: never.
import type { SiteStatus } from "../dashboard/data";

export interface LocalStatus {
  site: string;
  federation: string;
  server: string;
  version: string;
  now_ms: number;
  reported_ms: number;
  agent_runs: boolean;
  connected: boolean;
  paused: boolean;
  problem: string;
  clock_skew_ms: number;
  work: SiteStatus;
  run_name: string;
  rounds_in_a_day: number;
  questions: number;
}

export interface LocalRun {
  run: string;
  name: string;
  stage: string;
  why: string;
  round: number;
  rounds: number;
  config: string;
}

export interface QuestionInfo {
  run: string;
  round: number;
  name: string;
  facts: string[];
  leaves: string[];
  asked_ms: number;
  state: string;
  by: string;
  why: string;
  answered_ms: number;
}

export interface LedgerEntry {
  seq: number;
  time_ms: number;
  kind: string;
  run: string;
  round: number;
  contents: string;
  bytes: number;
  sha256: string;
  l2: number | null;
  recipient: string;
  recipient_fingerprint: string;
  receipt: string;
  why: string;
  log_seq: number;
  log_hash: string;
}

export interface LedgerPage {
  lines: number;
  intact: boolean;
  problem: string;
  entries: LedgerEntry[];
}

export interface Overview {
  status: LocalStatus;
  runs: LocalRun[];
  questions: QuestionInfo[];
  last_line: number;
}
