// What the server's program tells the page (src/dashboard/admin_json.h). Times are milliseconds since 1970; 0: never.
export interface SiteStatus {
  phase: string;
  run: string;
  round: number;
  step: number;
  steps: number;
  images_per_second: number | null;
}

export interface FederationInfo {
  name: string;
  address: string;
  authority_sha256: string;
  version: string;
  now_ms: number;
  started_ms: number;
}

export interface InvitationState {
  state: string;
  created_ms: number;
  expires_ms: number;
  used_ms: number;
  withdrawn_ms: number;
}

export interface SiteInfo {
  name: string;
  state: string;
  why: string;
  online: boolean;
  invitation_expires_ms: number;
  invitations: InvitationState[];
  enrolled_ms: number;
  seen_ms: number;
  revoked_ms: number;
  certificate_expires_ms: number;
  version: string;
  address: string;
  status: SiteStatus;
}

export interface AskInfo {
  site: string;
  state: string;
  images: number;
  visits: number;
  train_loss: number | null;
  l2: number | null;
  sha256: string;
  why: string;
}

export interface PooledInfo {
  images: number;
  loss: number | null;
  auc: number | null;
  method: string;
}

export interface RoundInfo {
  round: number;
  opened_ms: number;
  closed_ms: number;
  deadline_ms: number;
  extended: boolean;
  needed: number;
  model_sha256: string;
  asks: AskInfo[];
  train_loss: number | null;
  validation: PooledInfo;
  test: PooledInfo;
}

export interface ResultInfo {
  images: number;
  loss: number | null;
  metrics: Record<string, number | null>;
}

export interface EvaluationInfo {
  round: number;
  trained_by: string;
  site: string;
  validation: ResultInfo | null;
  test: ResultInfo | null;
}

export interface RunInfo {
  id: string;
  name: string;
  wanted: string;
  state: string;
  why: string;
  created_ms: number;
  started_ms: number;
  finished_ms: number;
  round: number;
  rounds: number;
  open_round: number;
  deadline_ms: number;
  waiting_for: string[];
  best_round: number;
}

export interface RunSiteInfo {
  site: string;
  state: string;
  counts: { train: number[]; validation: number[]; test: number[] };
  why: string;
}

export interface RunDetails {
  run: RunInfo;
  classes: string[];
  config: string;
  sites: RunSiteInfo[];
  rounds: RoundInfo[];
  evaluations: EvaluationInfo[];
  models: number[];
  has_report: boolean;
}

export interface EventInfo {
  seq: number;
  time_ms: number;
  run: string;
  site: string;
  kind: string;
  fields: Record<string, unknown> | null;
}

export interface Overview {
  federation: FederationInfo;
  sites: SiteInfo[];
  runs: RunInfo[];
  last_event: number;
}
