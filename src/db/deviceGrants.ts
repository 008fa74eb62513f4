import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import { auditInto, auditValues } from './audit.ts';
import { tokenHash } from './oneTime.ts';
import type { Rows } from './transaction.ts';

/** A device that asks. Times in ms since the epoch, durations in ms. */
type NewDeviceGrant = {
  deviceCode: string;
  userCode: string;
  device: string | null;
  ip: string;
  userAgent: string;
  now: number;
  ttlMs: number;
  pauseMs: number;
};

/** What a person is shown of a device that asks. */
export type AskingDevice = { device: string | null; ip: string; user_agent: string; created: Date; expires: Date };

/** What a device is signed in with: never more than the session had in which a person said yes. `proved` in ms since the epoch. */
export type ApprovedDevice = { account: string; device: string | null; acts: string; mfa: boolean; proved: number };

export type DeviceState = 'pending' | 'slow' | 'denied' | 'gone';

const time = (n: number): string => `to_timestamp($${n}::float8 / 1000)`;
/** Polls may come so much sooner than told: networks and the clocks of api processes differ. */
const SLACK = `interval '1 second'`;
/** What a poll too soon adds to the pause (RFC 8628, 3.5). */
const SLOWER = `interval '5 seconds'`;

/** Why a session may have ended without anything being wrong with what was done in it. */
const HARMLESS = `'logout', 'renewed', 'too_many'`;

/** Whether a session of whoever decided about `g` was ended since, and not harmlessly. */
const REVOKED = `exists (select from session s where s.account = g.account and s.ended >= g.decided and s.end_reason not in (${HARMLESS}))`;

/** Keeps the hashes of both codes. @returns false if the code for people is taken */
export async function insertDeviceGrant(db: Rows, grant: NewDeviceGrant): Promise<boolean> {
  const { deviceCode, userCode, device, ip, userAgent, now, ttlMs, pauseMs } = grant;
  const rows = await db.rows({
    name: 'device_insert',
    text: `insert into device_grant (device_hash, user_hash, device, ip, user_agent, created, expires, pause)
      values ($1, $2, $3, $4, $5, ${time(6)}, ${time(6)} + make_interval(secs => $7::float8 / 1000), make_interval(secs => $8::float8 / 1000))
      on conflict (user_hash) do nothing returning 1`,
    values: [tokenHash(deviceCode), tokenHash(userCode), device, ip, userAgent, now, ttlMs, pauseMs],
  });
  return rows.length > 0;
}

/** Of a device that nobody has decided about yet. */
export async function findAskingDevice(db: Rows, of: { userCode: string; now: number }): Promise<AskingDevice | undefined> {
  const rows = await db.rows<AskingDevice>({
    name: 'device_asking',
    text: `select device, ip, user_agent, created, expires from device_grant
      where user_hash = $1 and decision is null and expires > ${time(2)}`,
    values: [tokenHash(of.userCode), of.now],
  });
  return rows[0];
}

/** Says yes or no, once, and writes it to the audit. @returns whether there was something to decide */
export async function decideDevice(
  db: Rows,
  of: { userCode: string; decision: 'approved' | 'denied'; session: string; now: number },
): Promise<boolean> {
  const rows = await db.rows({
    name: 'device_decide',
    text: `with d as (update device_grant g set decision = $2, decided = clock_timestamp(), account = s.account, session = s.id, acts = s.workspace, mfa = s.mfa,
          proved = s.proved
        from (select * from session where id = $3 and ended is null for share) s where g.user_hash = $1 and g.decision is null and g.expires > ${time(4)} returning g.*),
      u as (${auditInto(5, {
        from: 'd',
        workspace: `'${SYSTEM_WORKSPACE}'`,
        actor: `'user:' || d.account`,
        action: `'auth.device_' || d.decision`,
        object: `'user:' || d.account`,
        data: `json_build_object('device', d.device, 'from', d.ip, 'session', d.session)`,
      })})
      select 1 from d`,
    values: [tokenHash(of.userCode), of.decision, of.session, of.now, ...auditValues()],
  });
  return rows.length > 0;
}

/**
 * Uses up what was approved: of all who try one wins. Nobody does when since then a session of the person was ended because
 * something was wrong (a reset, a stolen token), or by hand.
 */
export async function redeemDevice(db: Rows, of: { deviceCode: string; now: number }): Promise<ApprovedDevice | undefined> {
  const rows = await db.rows<ApprovedDevice>({
    name: 'device_redeem',
    text: `update device_grant g set redeemed = ${time(2)}
      where g.device_hash = $1 and g.decision = 'approved' and g.redeemed is null and g.expires > ${time(2)} and not ${REVOKED}
      returning account, device, acts, mfa, (extract(epoch from proved) * 1000)::float8 as proved`,
    values: [tokenHash(of.deviceCode), of.now],
  });
  return rows[0];
}

/** Notes that a device has asked, and says how things stand for one that has nothing to redeem. */
export async function pollDevice(db: Rows, of: { deviceCode: string; now: number }): Promise<DeviceState> {
  const rows = await db.rows<{ state: DeviceState }>({
    name: 'device_poll',
    text: `update device_grant g set polled = ${time(2)}, hurried = g.polled > ${time(2)} - g.pause + ${SLACK} and g.polled is not null,
        pause = case when g.polled > ${time(2)} - g.pause + ${SLACK} then g.pause + ${SLOWER} else g.pause end
      where g.device_hash = $1
      returning case when redeemed is not null or expires <= ${time(2)} then 'gone' when decision = 'denied' then 'denied'
        when decision = 'approved' and ${REVOKED} then 'denied' when hurried then 'slow' else 'pending' end as state`,
    values: [tokenHash(of.deviceCode), of.now],
  });
  return rows[0]?.state ?? 'gone';
}
