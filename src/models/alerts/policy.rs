//! Decides who is told of an incident, when, and why somebody is not.
//!
//! Promises: nothing is decided twice: an anomaly that is known already changes nothing. What is sent is sent once for each
//! channel; whoever was told that something began is told when it ends, is withdrawn, or cannot be judged any more. Every
//! call leaves its decisions for [`Policy::take_changes`], which belong into one transaction. A policy that is made of the
//! incidents of another one goes on where that one was.
//! When too many incidents are open, the oldest one that waits for nothing is closed; where all wait, a new one is held back.

use super::groups::{GroupKey, Groups};
use super::incident::{Hold, Incident, IncidentState, Waiting};
use super::message;
use super::outages::{FeedCondition, Outages};
use super::outgoing::{Outgoing, OutgoingBody, OutgoingState};
use super::settings::{AlertSettings, is_lasting, is_of_prices};
use super::silence::Silence;
use crate::models::alert::{Alert, AlertStatus};
use crate::models::anomaly::{Anomaly, AnomalyState};
use crate::models::notification::NotificationKind;
use crate::models::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// The reason of a decision whose message was not tried yet.
pub const QUEUED: &str = "queued";

/// What calls have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Incidents as they are now.
    pub incidents: Vec<Incident>,
    /// Decisions: one for each incident and channel.
    pub alerts: Vec<Alert>,
    /// Messages to send.
    pub outgoing: Vec<Outgoing>,
}

impl Changes {
    /// True when nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.incidents.is_empty() && self.alerts.is_empty() && self.outgoing.is_empty()
    }
}

/// The policy, and the incidents that it still has to do with.
#[derive(Clone, Debug)]
pub struct Policy {
    settings: AlertSettings,
    incidents: BTreeMap<String, Incident>,
    /// The incidents by their time.
    by_time: BTreeSet<(Nanos, String)>,
    /// When the last alert of a symbol and type was sent.
    sent: BTreeMap<(String, String), Nanos>,
    silences: Vec<Silence>,
    outages: Outages,
    groups: Groups,
    /// Incidents that may be told of later.
    held: BTreeSet<String>,
    changed: BTreeSet<String>,
    alerts: Vec<Alert>,
    outgoing: Vec<Outgoing>,
}

impl Policy {
    /// Makes one that goes on with the incidents that are not closed, and with those that were sent less than a cooldown ago.
    #[must_use]
    pub fn new(settings: AlertSettings, incidents: impl IntoIterator<Item = Incident>) -> Policy {
        let mut policy = Policy {
            settings,
            incidents: BTreeMap::new(),
            by_time: BTreeSet::new(),
            sent: BTreeMap::new(),
            silences: Vec::new(),
            outages: Outages::default(),
            groups: Groups::default(),
            held: BTreeSet::new(),
            changed: BTreeSet::new(),
            alerts: Vec::new(),
            outgoing: Vec::new(),
        };
        for incident in incidents {
            if incident.is_done() {
                policy.note_sent(&incident);
            } else {
                policy.adopt(incident);
            }
        }
        policy
    }

    /// Takes in an incident that was stored.
    pub fn adopt(&mut self, incident: Incident) {
        self.note_sent(&incident);
        for (channel, waiting) in &incident.waiting {
            let key = GroupKey::new(channel, waiting.kind, &incident.anomaly_type);
            self.groups.add(key, &incident.id, waiting.since, &self.settings);
        }
        if incident.hold.is_some_and(Hold::may_pass) && is_lasting(&incident.anomaly_type) {
            self.held.insert(incident.id.clone());
        }
        self.by_time.insert((incident.time, incident.id.clone()));
        self.incidents.insert(incident.id.clone(), incident);
    }

    fn note_sent(&mut self, incident: &Incident) {
        if let Some(sent) = incident.sent {
            let last = self.sent.entry(kind_of(incident)).or_insert(sent);
            *last = (*last).max(sent);
        }
    }

    /// True for an incident that is in memory. One that is not, and is stored, is to be adopted before its anomaly is judged.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.incidents.contains_key(id)
    }

    /// Returns the incidents that are open, acknowledged, or without data.
    #[must_use]
    pub fn num_open(&self) -> usize {
        self.incidents.values().filter(|incident| !incident.state.is_closed()).count()
    }

    /// Returns how many incidents are in memory.
    #[must_use]
    pub fn num_known(&self) -> usize {
        self.incidents.len()
    }

    /// Judges an anomaly that became known, or changed.
    pub fn anomaly(&mut self, anomaly: &Anomaly, now: Nanos) {
        match self.incidents.get_mut(&anomaly.id) {
            None if anomaly.state == AnomalyState::Active => self.begin(anomaly, now),
            // Nobody was told that it began.
            None => {}
            Some(known) => {
                let had = known.state;
                let is_news = anomaly.log_pos > known.log_pos
                    || (anomaly.log_pos == known.log_pos
                        && (is_other(had, anomaly.state) || anomaly.severity > known.severity));
                if !is_news {
                    if known.is_done() && !self.changed.contains(&anomaly.id) {
                        self.forget(&anomaly.id);
                    }
                    return;
                }
                known.take_over(anomaly);
                self.changed.insert(anomaly.id.clone());
                match anomaly.state {
                    AnomalyState::Active if is_other(had, anomaly.state) => {
                        self.begin_again(&anomaly.id, had, now);
                    }
                    AnomalyState::Active => {}
                    AnomalyState::Ended => self.end(&anomaly.id, IncidentState::Resolved, now),
                    AnomalyState::Withdrawn => self.end(&anomaly.id, IncidentState::Withdrawn, now),
                }
            }
        }
    }

    /// Notes that somebody sees to an incident. Returns false where there is no such incident, or nothing to see to.
    pub fn acknowledge(&mut self, id: &str, by: &str, now: Nanos) -> bool {
        let Some(incident) = self.incidents.get_mut(id) else { return false };
        if incident.state.is_closed() {
            return false;
        }
        incident.acknowledged_by = Some(by.to_owned());
        if incident.state == IncidentState::Open {
            incident.set_state(IncidentState::Acknowledged, now);
        }
        self.changed.insert(id.to_owned());
        self.held.remove(id);
        self.drop_waiting(id, NotificationKind::Fired, Hold::Acknowledged, now);
        true
    }

    /// Takes over the silences. Those that are over need not be among them.
    pub fn set_silences(&mut self, silences: Vec<Silence>) {
        self.silences = silences;
    }

    /// Takes over which symbols' data do not come.
    pub fn set_down(&mut self, symbols: &BTreeSet<String>, now: Nanos) {
        self.outages.update(symbols, now, self.settings.feed_settle);
        let mut concerned: Vec<(String, bool)> = Vec::new();
        for incident in self.incidents.values() {
            let is_down = symbols.contains(&incident.symbol);
            let is_lost = incident.state == IncidentState::NoData;
            let depends = is_lasting(&incident.anomaly_type) && is_of_prices(&incident.anomaly_type);
            if depends && !incident.state.is_closed() && is_down != is_lost {
                concerned.push((incident.id.clone(), is_down));
            }
        }
        for (id, is_down) in concerned {
            if is_down { self.lose_sight(&id, now) } else { self.see_again(&id, now) }
        }
    }

    /// Does what is due: sends groups, looks again at what is held back, closes what is long ago.
    pub fn tick(&mut self, now: Nanos) {
        let cooldown = self.settings.cooldown;
        self.sent.retain(|_, sent| sent.plus(cooldown) > now);
        for id in self.held.clone() {
            self.look_again(&id, now);
        }
        for (key, members) in self.groups.take_due(now, &self.settings) {
            self.send(&key, members, now);
        }
        let oldest = now.plus(-self.settings.open_for);
        let past: Vec<String> =
            self.by_time.range(..(oldest, String::new())).map(|(_, id)| id.clone()).collect();
        for id in past {
            let expires = self.incidents.get(&id).is_some_and(|incident| {
                incident.waiting.is_empty()
                    && !incident.state.is_closed()
                    && (incident.hold.is_some() || !is_lasting(&incident.anomaly_type))
            });
            if expires {
                self.expire(&id, now);
            }
        }
    }

    /// Returns when the next group is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        self.groups.next_due()
    }

    /// Takes what has changed, and forgets incidents that are closed: the store has them.
    pub fn take_changes(&mut self) -> Changes {
        let mut incidents = Vec::with_capacity(self.changed.len());
        for id in std::mem::take(&mut self.changed) {
            let Some(incident) = self.incidents.get(&id) else { continue };
            incidents.push(incident.clone());
            if incident.is_done() {
                self.forget(&id);
            }
        }
        Changes {
            incidents,
            alerts: std::mem::take(&mut self.alerts),
            outgoing: std::mem::take(&mut self.outgoing),
        }
    }

    /// Begins an incident.
    fn begin(&mut self, anomaly: &Anomaly, now: Nanos) {
        let has_room = self.make_room(now);
        let incident = Incident::new(anomaly, now);
        let id = incident.id.clone();
        self.by_time.insert((incident.time, id.clone()));
        self.incidents.insert(id.clone(), incident);
        self.changed.insert(id.clone());
        if has_room {
            self.judge(&id, false, now);
        } else {
            let detail = format!("{} incidents are open", self.settings.incidents_max);
            self.hold(&id, Hold::TooMany, &detail, now);
        }
    }

    /// Makes room for another incident. Returns false where all wait for something.
    fn make_room(&mut self, now: Nanos) -> bool {
        if self.incidents.len() < self.settings.incidents_max {
            return true;
        }
        let may_go = |known: &Incident| known.waiting.is_empty() && !known.state.is_closed();
        let mut by_time = self.by_time.iter().map(|(_, id)| id);
        let Some(oldest) = by_time.find(|id| self.incidents.get(*id).is_some_and(may_go)).cloned() else {
            return false;
        };
        // It goes with the changes, which say how it is now.
        self.expire(&oldest, now);
        true
    }

    /// Begins an incident again that was closed. Who was told that it was withdrawn is told that it was not.
    fn begin_again(&mut self, id: &str, had: IncidentState, now: Nanos) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        let was_taken_back = had == IncidentState::Withdrawn && incident.taken_back;
        incident.taken_back = false;
        incident.over.clear();
        incident.set_state(IncidentState::Open, now);
        (incident.hold, incident.acknowledged_by) = (None, None);
        // Who was not told of its end yet knows how it is.
        let waiting = &incident.waiting;
        incident.told.retain(|channel| waiting.get(channel).is_some_and(|waiting| waiting.kind.is_end()));
        let is_known = !incident.told.is_empty();
        self.drop_waiting(id, NotificationKind::Resolved, Hold::GoesOn, now);
        self.drop_waiting(id, NotificationKind::Withdrawn, Hold::GoesOn, now);
        if !is_known {
            self.judge(id, was_taken_back, now);
        }
    }

    /// Decides whether an incident is told of.
    fn judge(&mut self, id: &str, ignores_cooldown: bool, now: Nanos) {
        let Some(incident) = self.incidents.get(id) else { return };
        let Some((hold, detail)) = self.hold_of(incident, ignores_cooldown, now) else {
            let targets = self.settings.targets(incident.severity, &incident.anomaly_type, &incident.symbol);
            let kind = kind_of(incident);
            self.sent.insert(kind, now);
            if let Some(incident) = self.incidents.get_mut(id) {
                (incident.sent, incident.hold) = (Some(now), None);
            }
            for target in targets {
                self.enqueue(id, &target.channel, NotificationKind::Fired, now);
            }
            return;
        };
        self.hold(id, hold, &detail, now);
    }

    /// Returns why an incident is not told of now.
    fn hold_of(&self, incident: &Incident, ignores_cooldown: bool, now: Nanos) -> Option<(Hold, String)> {
        let (severity, anomaly_type, symbol) =
            (incident.severity, incident.anomaly_type.as_str(), incident.symbol.as_str());
        if self.settings.targets(severity, anomaly_type, symbol).is_empty() {
            return Some((Hold::NoRoute, "no route leads to a channel".to_owned()));
        }
        if now.since(incident.time) > self.settings.age_max && !is_lasting(anomaly_type) {
            return Some((Hold::TooOld, "it became known too late".to_owned()));
        }
        if let Some(held) = self.silenced(incident, now) {
            return Some(held);
        }
        if let Some(held) = self.feed_down(incident, now) {
            return Some(held);
        }
        let last = self.sent.get(&kind_of(incident)).filter(|_| !ignores_cooldown);
        let until = last.map(|last| last.plus(self.settings.cooldown)).filter(|until| *until > now)?;
        Some((Hold::Cooldown, format!("until {}", until.to_rfc3339())))
    }

    fn silenced(&self, incident: &Incident, now: Nanos) -> Option<(Hold, String)> {
        let fits = |silence: &&Silence| {
            silence.is_active(now)
                && silence.fits(incident.severity, &incident.anomaly_type, &incident.symbol)
        };
        let silence = self.silences.iter().find(fits)?;
        Some((Hold::Silenced, format!("by {} until {}", silence.id, silence.end.to_rfc3339())))
    }

    fn feed_down(&self, incident: &Incident, now: Nanos) -> Option<(Hold, String)> {
        if !is_of_prices(&incident.anomaly_type) {
            return None;
        }
        let detail = match self.outages.of(&incident.symbol, now) {
            FeedCondition::Up => return None,
            FeedCondition::Down(since) => format!("no data since {}", since.to_rfc3339()),
            FeedCondition::Settling(until) => {
                format!("data come again, and are settled at {}", until.to_rfc3339())
            }
        };
        Some((Hold::FeedDown, detail))
    }

    /// Holds an incident back, and leaves a decision for each channel that it would have gone to.
    fn hold(&mut self, id: &str, hold: Hold, detail: &str, now: Nanos) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        let is_new = incident.hold != Some(hold);
        incident.hold = Some(hold);
        let may_pass = hold.may_pass() && is_lasting(&incident.anomaly_type);
        if hold == Hold::TooMany || hold == Hold::TooOld {
            incident.set_state(IncidentState::Expired, now);
        }
        let targets = self.settings.targets(incident.severity, &incident.anomaly_type, &incident.symbol);
        self.changed.insert(id.to_owned());
        if may_pass {
            self.held.insert(id.to_owned());
        } else {
            self.held.remove(id);
        }
        if !is_new {
            return;
        }
        let reason = format!("{}: {detail}", hold.as_str());
        if targets.is_empty() {
            self.decide(id, "", NotificationKind::Fired, AlertStatus::Held, &reason, now);
        }
        for target in targets {
            self.decide(id, &target.channel, NotificationKind::Fired, AlertStatus::Held, &reason, now);
        }
    }

    /// Looks whether what held an incident back is over.
    fn look_again(&mut self, id: &str, now: Nanos) {
        let Some(incident) = self.incidents.get(id) else {
            self.held.remove(id);
            return;
        };
        if incident.state != IncidentState::Open || !incident.told.is_empty() {
            self.held.remove(id);
            return;
        }
        match self.hold_of(incident, false, now) {
            // Another reason is another decision.
            Some((hold, _)) if incident.hold == Some(hold) => {}
            _ => {
                self.held.remove(id);
                self.judge(id, false, now);
            }
        }
    }

    /// Ends an incident: what has not gone out is dropped, and who was told of it is told of its end.
    fn end(&mut self, id: &str, state: IncidentState, now: Nanos) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        if incident.state == state {
            return;
        }
        // What never was does not end: whoever knew of it is told that it was withdrawn.
        let is_moot = incident.state == IncidentState::Withdrawn;
        incident.set_state(state, now);
        if is_moot {
            return;
        }
        let mut told = incident.told.clone();
        let (kind, hold) = match state {
            IncidentState::Withdrawn => {
                // Who knows that it is over is told that it never was.
                told.extend(incident.over.iter().cloned());
                (NotificationKind::Withdrawn, Hold::Withdrawn)
            }
            _ => (NotificationKind::Resolved, Hold::Ended),
        };
        self.held.remove(id);
        self.drop_waiting(id, NotificationKind::Fired, hold, now);
        self.drop_waiting(id, NotificationKind::NoData, hold, now);
        for channel in told {
            self.enqueue(id, &channel, kind, now);
        }
    }

    fn expire(&mut self, id: &str, now: Nanos) {
        if let Some(incident) = self.incidents.get_mut(id) {
            if !incident.state.is_closed() {
                incident.set_state(IncidentState::Expired, now);
            }
            self.held.remove(id);
            self.changed.insert(id.to_owned());
        }
    }

    /// Notes that nobody can judge an incident any more, which is never the same as that it ended.
    fn lose_sight(&mut self, id: &str, now: Nanos) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        if !matches!(incident.state, IncidentState::Open | IncidentState::Acknowledged) {
            return;
        }
        incident.set_state(IncidentState::NoData, now);
        let told: Vec<String> = incident.told.iter().cloned().collect();
        self.changed.insert(id.to_owned());
        for channel in told {
            self.enqueue(id, &channel, NotificationKind::NoData, now);
        }
    }

    /// Notes that an incident can be judged again: it goes on until its anomaly says otherwise.
    fn see_again(&mut self, id: &str, now: Nanos) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        if incident.state != IncidentState::NoData {
            return;
        }
        let is_seen_to = incident.acknowledged_by.is_some();
        incident.set_state(if is_seen_to { IncidentState::Acknowledged } else { IncidentState::Open }, now);
        self.changed.insert(id.to_owned());
        if incident.hold.is_some_and(Hold::may_pass) {
            self.held.insert(id.to_owned());
        }
        self.drop_waiting(id, NotificationKind::NoData, Hold::GoesOn, now);
    }

    /// Has a message about an incident wait for its group.
    fn enqueue(&mut self, id: &str, channel: &str, kind: NotificationKind, now: Nanos) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        incident.waiting.insert(channel.to_owned(), Waiting { kind, since: now });
        let key = GroupKey::new(channel, kind, &incident.anomaly_type);
        self.groups.add(key, id, now, &self.settings);
        self.changed.insert(id.to_owned());
    }

    /// Drops what waits to say something that is not so any more.
    fn drop_waiting(&mut self, id: &str, kind: NotificationKind, hold: Hold, now: Nanos) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        let channels: Vec<String> = incident
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.kind == kind)
            .map(|(channel, _)| channel.clone())
            .collect();
        incident.waiting.retain(|_, waiting| waiting.kind != kind);
        if channels.is_empty() {
            return;
        }
        self.changed.insert(id.to_owned());
        for channel in &channels {
            self.decide(id, channel, kind, AlertStatus::Held, hold.as_str(), now);
        }
        if kind == NotificationKind::Fired {
            if let Some(incident) = self.incidents.get_mut(id) {
                incident.hold = Some(hold);
            }
            self.take_back_cooldown(id);
        }
    }

    /// Has the cooldown not count from an alert that did not go out.
    fn take_back_cooldown(&mut self, id: &str) {
        let Some(incident) = self.incidents.get_mut(id) else { return };
        if !incident.told.is_empty() {
            return;
        }
        let sent = incident.sent.take();
        let kind = kind_of(incident);
        if sent.is_some() && self.sent.get(&kind).copied() == sent {
            self.sent.remove(&kind);
        }
    }

    /// Leaves a decision.
    fn decide(
        &mut self,
        id: &str,
        channel: &str,
        kind: NotificationKind,
        status: AlertStatus,
        reason: &str,
        now: Nanos,
    ) -> Option<Alert> {
        let incident = self.incidents.get_mut(id)?;
        incident.num_decisions += 1;
        let alert = Alert {
            id: format!("{id}/{}-{}-{channel}", incident.num_decisions, kind.as_str()),
            time: now,
            symbol: incident.symbol.clone(),
            anomaly_type: incident.anomaly_type.clone(),
            severity: incident.severity,
            channel: channel.to_owned(),
            status,
            reason: reason.to_owned(),
            attempts: 0,
            anomaly_id: id.to_owned(),
        };
        self.changed.insert(id.to_owned());
        self.alerts.push(alert.clone());
        Some(alert)
    }

    /// Sends a group: one message about all of it that still holds.
    fn send(&mut self, key: &GroupKey, members: Vec<String>, now: Nanos) {
        let kind = key.kind();
        let mut sent: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for id in members {
            let Some(incident) = self.incidents.get(&id) else { continue };
            let waits = incident.waiting.get(&key.channel).is_some_and(|waiting| waiting.kind == kind);
            if !waits || !seen.insert(id.clone()) {
                continue;
            }
            let held = if kind == NotificationKind::Fired {
                self.silenced(incident, now).or_else(|| self.feed_down(incident, now))
            } else {
                None
            };
            if let Some(incident) = self.incidents.get_mut(&id) {
                incident.waiting.remove(&key.channel);
            }
            self.changed.insert(id.clone());
            match held {
                Some((hold, detail)) => self.hold_one(&id, &key.channel, hold, &detail, now),
                None => sent.push(id),
            }
        }
        if sent.is_empty() {
            return;
        }
        self.groups.note_sent(key.clone(), now);
        let mut alerts = Vec::with_capacity(sent.len());
        for id in &sent {
            if let Some(incident) = self.incidents.get_mut(id) {
                incident.note_told(&key.channel, kind);
            }
            alerts.extend(self.decide(id, &key.channel, kind, AlertStatus::Retrying, QUEUED, now));
        }
        let id = format!("{}/{}/{}/{}", key.channel, kind.as_str(), key.anomaly_type, now.0);
        let members: Vec<&Incident> = sent.iter().filter_map(|id| self.incidents.get(id)).collect();
        let notification = message::notification(key, &members, &id, &self.settings, now);
        let fallback = self.settings.fallback(&key.channel);
        self.outgoing.push(Outgoing {
            id,
            channel: key.channel.clone(),
            decided: now,
            state: OutgoingState::Waiting,
            due: now,
            attempts: 0,
            lease_owner: String::new(),
            lease_until: Nanos(0),
            body: OutgoingBody { notification, alerts, fallback },
        });
    }

    /// Holds back over one channel what was about to go out.
    fn hold_one(&mut self, id: &str, channel: &str, hold: Hold, detail: &str, now: Nanos) {
        let reason = format!("{}: {detail}", hold.as_str());
        self.decide(id, channel, NotificationKind::Fired, AlertStatus::Held, &reason, now);
        let Some(incident) = self.incidents.get_mut(id) else { return };
        incident.hold = Some(hold);
        let may_pass = hold.may_pass() && is_lasting(&incident.anomaly_type);
        let is_unsent = incident.waiting.is_empty() && incident.told.is_empty();
        if may_pass {
            self.held.insert(id.to_owned());
        }
        if is_unsent {
            self.take_back_cooldown(id);
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(incident) = self.incidents.remove(id) {
            self.by_time.remove(&(incident.time, incident.id));
            self.held.remove(id);
        }
    }
}

/// Returns what a cooldown is about. Rules are about different things, so each has its own.
fn kind_of(incident: &Incident) -> (String, String) {
    let anomaly_type = &incident.anomaly_type;
    let kind = incident.rule().map_or_else(|| anomaly_type.clone(), |name| format!("{anomaly_type}/{name}"));
    (incident.symbol.clone(), kind)
}

/// True where an anomaly's state says something else than its incident does.
const fn is_other(incident: IncidentState, anomaly: AnomalyState) -> bool {
    match anomaly {
        AnomalyState::Active => matches!(incident, IncidentState::Resolved | IncidentState::Withdrawn),
        AnomalyState::Ended => !matches!(incident, IncidentState::Resolved),
        AnomalyState::Withdrawn => !matches!(incident, IncidentState::Withdrawn),
    }
}
