// The sites of the federation: who is there, whom to invite, whom to revoke.
import { useState } from "preact/hooks";
import { visible } from "../kit/format";
import { fill, T, useText } from "../kit/language";
import { Table } from "../kit/table";
import { call } from "../live/api";
import { Copyable, Dialog, State, useNow, When } from "../live/parts";
import { ago, moment, until } from "../live/time";
import { texts as live } from "../live/texts";
import type { Overview, SiteInfo, SiteStatus } from "./data";
import { kInvitationStates, kPhases, kSiteStates, named, textOf } from "./labels";
import { texts } from "./texts";

const kSoonMs = 14 * 24 * 3600_000;

export function stateOfSite(site: SiteInfo): string {
  return site.state === "enrolled" ? (site.online ? "online" : "offline") : site.state;
}

export function phaseOf(status: SiteStatus) {
  const phase = textOf(kPhases, status.phase);
  if (status.steps <= 0) return phase;
  return fill(texts.step, { phase, round: status.round, step: status.step, steps: status.steps });
}

export function SitesView({ overview }: { overview: Overview }) {
  const t = useText();
  const now = useNow();
  const [inviting, setInviting] = useState(false);
  const [invited, setInvited] = useState<{ line: string; site: string; expires_ms: number } | null>(null);
  const [revoking, setRevoking] = useState<string | null>(null);
  return (
    <>
      <h2>
        <T of={texts.sites} />
      </h2>
      <div class="buttons">
        <button type="button" class="primary" onClick={() => setInviting(true)}>
          {t(texts.invite)}
        </button>
      </div>
      {overview.sites.length === 0 ? (
        <p>
          <T of={texts.no_sites} />
        </p>
      ) : (
        <Table
          caption={texts.all_sites_caption}
          columns={[
            { title: t(texts.site) },
            { title: t(texts.state) },
            { title: t(texts.last_seen) },
            { title: t(texts.doing) },
            { title: t(texts.certificate) },
            { title: t(texts.address) },
            { title: <span class="ditto">{t(texts.actions)}</span> },
          ]}
          rows={overview.sites.map((site) => {
            const state = named(kSiteStates, stateOfSite(site));
            const enrolled = site.state === "enrolled";
            const soon = enrolled && site.certificate_expires_ms - now < kSoonMs;
            return {
              head: <span class="keep">{visible(site.name)}</span>,
              cells: [
                <>
                  <State tone={state.tone}>{t(state)}</State>
                  {site.state === "invited" && site.invitation_expires_ms > 0 && (
                    <div class="soft">
                      {t(fill(texts.invitation_expires, { when: until(site.invitation_expires_ms, now) }))}
                    </div>
                  )}
                  {site.why && <div class="soft">{visible(site.why)}</div>}
                </>,
                <span class="keep">{t(ago(site.seen_ms, now))}</span>,
                enrolled && site.online ? t(phaseOf(site.status)) : "–",
                enrolled ? (
                  <>
                    <span class={soon ? "failed" : undefined}>{t(until(site.certificate_expires_ms, now))}</span>
                    <div class="soft">
                      <When ms={site.certificate_expires_ms} />
                    </div>
                  </>
                ) : (
                  "–"
                ),
                site.address ? (
                  <>
                    <bdi>{visible(site.address)}</bdi>
                    <div class="soft">{visible(site.version)}</div>
                  </>
                ) : (
                  "–"
                ),
                site.state !== "revoked" && site.state !== "left" && (
                  <button
                    type="button"
                    class="small dangerous"
                    aria-label={`${t(texts.revoke)}: ${visible(site.name)}`}
                    onClick={() => setRevoking(site.name)}
                  >
                    {t(texts.revoke)}
                  </button>
                ),
              ],
            };
          })}
        />
      )}
      <Invitations sites={overview.sites} />
      {inviting && (
        <Invite
          close={() => setInviting(false)}
          done={(invitation) => {
            setInviting(false);
            setInvited(invitation);
          }}
        />
      )}
      {invited && (
        <Dialog
          title={fill(texts.invited_title, { site: visible(invited.site) })}
          action={live.close}
          told
          onAct={async () => setInvited(null)}
          onClose={() => setInvited(null)}
        >
          <p>{t(fill(texts.invited_what, { until: moment(invited.expires_ms) }))}</p>
          <Copyable text={invited.line} label={texts.invitation_line} />
        </Dialog>
      )}
      {revoking && <Revoke site={revoking} close={() => setRevoking(null)} />}
    </>
  );
}

function Invitations({ sites }: { sites: SiteInfo[] }) {
  const t = useText();
  const all = sites
    .flatMap((site) => site.invitations.map((invitation) => ({ site: site.name, ...invitation })))
    .sort((a, b) => b.created_ms - a.created_ms);
  if (all.length === 0) return null;
  return (
    <>
      <h3>
        <T of={texts.invitations} />
      </h3>
      <Table
        caption={texts.invitations_caption}
        columns={[
          { title: t(texts.site) },
          { title: t(texts.state) },
          { title: t(texts.invitation_made) },
          { title: t(texts.invitation_until) },
          { title: t(texts.invitation_ended) },
        ]}
        rows={all.map((invitation) => {
          const state = named(kInvitationStates, invitation.state);
          const ended = invitation.used_ms || invitation.withdrawn_ms;
          return {
            head: <span class="keep">{visible(invitation.site)}</span>,
            cells: [
              <State tone={state.tone}>{t(state)}</State>,
              <When ms={invitation.created_ms} />,
              <When ms={invitation.expires_ms} />,
              ended > 0 ? <When ms={ended} /> : "–",
            ],
          };
        })}
      />
    </>
  );
}

function Invite(props: { close: () => void; done: (i: { line: string; site: string; expires_ms: number }) => void }) {
  const t = useText();
  const [site, setSite] = useState("");
  const [hours, setHours] = useState("72");
  return (
    <Dialog
      title={texts.invite}
      action={texts.invite_act}
      onClose={props.close}
      onAct={async () =>
        props.done(await call(`/api/sites/${encodeURIComponent(site)}/invite`, { body: { hours: Number(hours) } }))
      }
    >
      <p>
        <T of={texts.invite_what} />
      </p>
      <label>
        {t(texts.invite_name)}
        <input
          name="site"
          required
          pattern="[a-z0-9\-]{1,40}"
          maxLength={40}
          autocapitalize="none"
          spellcheck={false}
          value={site}
          onInput={(e) => setSite(e.currentTarget.value)}
        />
      </label>
      <label>
        {t(texts.invite_hours)}
        <input
          name="hours"
          type="number"
          required
          min={1}
          max={720}
          value={hours}
          onInput={(e) => setHours(e.currentTarget.value)}
        />
      </label>
    </Dialog>
  );
}

function Revoke({ site, close }: { site: string; close: () => void }) {
  const t = useText();
  const [why, setWhy] = useState("");
  return (
    <Dialog
      title={fill(texts.revoke_question, { site: visible(site) })}
      action={texts.revoke}
      dangerous
      onClose={close}
      onAct={async () => {
        await call(`/api/sites/${encodeURIComponent(site)}/revoke`, { body: { why } });
        close();
      }}
    >
      <p>
        <T of={texts.revoke_what} />
      </p>
      <label>
        {t(texts.reason)}
        <input name="why" required maxLength={300} value={why} onInput={(e) => setWhy(e.currentTarget.value)} />
      </label>
    </Dialog>
  );
}
