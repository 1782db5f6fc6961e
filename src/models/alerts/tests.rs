//! The policy by tables, and what holds of any story.

use super::incident::{Incident, IncidentState};
use super::outgoing::Outgoing;
use super::policy::{Changes, Policy};
use super::settings::{AlertSettings, Route};
use super::silence::Silence;
use crate::models::alert::AlertStatus;
use crate::models::anomaly::{Anomaly, AnomalyState, Severity};
use crate::models::notification::NotificationKind;
use crate::models::time::{MINUTE, Nanos, SECOND};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const BEGIN: Nanos = Nanos(1_700_000_000 * SECOND);

fn at(seconds: i64) -> Nanos {
    BEGIN.plus(seconds * SECOND)
}

fn route(channels: &[&str]) -> Route {
    Route { channels: channels.iter().map(|name| (*name).to_owned()).collect(), ..Route::default() }
}

fn settings() -> AlertSettings {
    AlertSettings { routes: vec![route(&["slack"])], ..AlertSettings::default() }
}

fn anomaly(symbol: &str, anomaly_type: &str, seconds: i64) -> Anomaly {
    Anomaly {
        id: format!("{symbol}/{anomaly_type}/{seconds}"),
        time: at(seconds),
        symbol: symbol.to_owned(),
        anomaly_type: anomaly_type.to_owned(),
        severity: Severity::High,
        description: "far off".to_owned(),
        log_pos: 10,
        ..Anomaly::default()
    }
}

fn in_state(anomaly: &Anomaly, state: AnomalyState) -> Anomaly {
    Anomaly { state, log_pos: anomaly.log_pos + 1, ..anomaly.clone() }
}

/// Judges an anomaly and does what is due at once.
fn judge(policy: &mut Policy, anomaly: &Anomaly, seconds: i64) -> Changes {
    policy.anomaly(anomaly, at(seconds));
    policy.tick(at(seconds));
    policy.take_changes()
}

fn tick(policy: &mut Policy, seconds: i64) -> Changes {
    policy.tick(at(seconds));
    policy.take_changes()
}

fn said(outgoing: &[Outgoing]) -> Vec<(&str, NotificationKind, Vec<&str>)> {
    outgoing
        .iter()
        .map(|message| {
            let about = message.body.alerts.iter().map(|alert| alert.symbol.as_str()).collect();
            (message.channel.as_str(), message.body.notification.kind, about)
        })
        .collect()
}

fn held(changes: &Changes) -> Vec<&str> {
    let held = changes.alerts.iter().filter(|alert| alert.status == AlertStatus::Held);
    held.map(|alert| alert.reason.split(':').next().unwrap_or_default()).collect()
}

#[test]
fn what_gets_worse_under_one_log_position_is_taken_over() {
    let mut policy = Policy::new(settings(), Vec::new());
    let behind = Anomaly { symbol: "*".to_owned(), log_pos: 0, ..anomaly("*", "sink_behind", 0) };
    judge(&mut policy, &behind, 0);
    let worse = Anomaly { severity: Severity::Critical, ..behind };
    let changes = judge(&mut policy, &worse, 3);
    assert_eq!(changes.incidents[0].severity, Severity::Critical);
    let sent = tick(&mut policy, 5);
    let notification = &sent.outgoing[0].body.notification;
    assert_eq!((notification.title.as_str(), notification.severity), ("sink behind", Severity::Critical));
    assert!(notification.symbols.is_empty(), "it is about the system");
}

#[test]
fn what_is_made_up_says_so_first() {
    for (is_simulated, title) in [(true, "SIMULATED AAPL: price spike"), (false, "AAPL: price spike")] {
        let mut policy = Policy::new(AlertSettings { is_simulated, group_wait: 0, ..settings() }, Vec::new());
        let changes = judge(&mut policy, &anomaly("AAPL", "price_spike", 0), 0);
        assert_eq!(changes.outgoing[0].body.notification.title, title);
    }
}

#[test]
fn rules_have_names_in_titles_and_cooldowns_of_their_own() {
    let mut policy = Policy::new(AlertSettings { group_wait: 0, ..settings() }, []);
    let of = |rule: &str, second| Anomaly {
        id: format!("AAPL/rule/{rule}/1min/{second}"),
        ..anomaly("AAPL", "rule", second)
    };
    let changes = judge(&mut policy, &of("low-rsi", 0), 0);
    let first = changes.outgoing.first().cloned().or_else(|| tick(&mut policy, 0).outgoing.first().cloned());
    let told = first.expect("it is told").body.notification;
    assert_eq!((told.title.as_str(), told.alert_type.as_str()), ("AAPL: rule low-rsi", "rule"));
    assert_eq!(held(&judge(&mut policy, &of("low-rsi", 10), 10)), ["cooldown"]);
    assert_eq!(held(&judge(&mut policy, &of("volume", 10), 10)), [""; 0], "it is another rule");
}

#[test]
fn an_alert_goes_out_once_after_the_wait_of_its_group() {
    let mut policy = Policy::new(settings(), []);
    let spike = anomaly("AAPL", "price_spike", 0);
    let changes = judge(&mut policy, &spike, 0);
    assert_eq!((changes.outgoing.len(), changes.alerts.len(), changes.incidents.len()), (0, 0, 1));
    assert_eq!(policy.next_due(), Some(at(5)));
    assert!(tick(&mut policy, 4).is_empty());
    let changes = tick(&mut policy, 5);
    assert_eq!(said(&changes.outgoing), [("slack", NotificationKind::Fired, vec!["AAPL"])]);
    let message = &changes.outgoing[0];
    assert_eq!(message.id, message.body.notification.id);
    assert_eq!(message.body.notification.title, "AAPL: price spike");
    assert_eq!(changes.alerts[0].status, AlertStatus::Retrying);
    // The same again, and later, says nothing.
    assert!(judge(&mut policy, &spike, 6).is_empty());
    assert!(tick(&mut policy, 4_000).is_empty());
}

#[test]
fn routes_go_by_severity_type_and_symbol() {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut settings = AlertSettings {
        routes: vec![
            Route { min_severity: Severity::High, ..route(&["email", "slack"]) },
            Route { types: named(&["rsi_*"]), fallback: named(&["email"]), ..route(&["slack", "webhook"]) },
            Route { symbols: named(&["BTC-USD"]), ..route(&["pager"]) },
        ],
        ..AlertSettings::default()
    };
    let table = [
        ("AAPL", "price_spike", Severity::Medium, ""),
        ("AAPL", "price_spike", Severity::Critical, "email slack"),
        ("AAPL", "rsi_oversold", Severity::Low, "slack webhook"),
        ("AAPL", "rsi_oversold", Severity::High, "email slack webhook"),
        ("BTC-USD", "volume_spike", Severity::Low, "pager"),
    ];
    for (symbol, anomaly_type, severity, channels) in table {
        let targets = settings.targets(severity, anomaly_type, symbol);
        let found: Vec<&str> = targets.iter().map(|target| target.channel.as_str()).collect();
        assert_eq!(found.join(" "), channels, "{symbol} {anomaly_type} {severity:?}");
    }
    let mut policy = Policy::new(settings.clone(), []);
    let changes =
        judge(&mut policy, &Anomaly { severity: Severity::Low, ..anomaly("A", "price_spike", 0) }, 0);
    assert_eq!((held(&changes), changes.alerts[0].channel.as_str()), (vec!["no_route"], ""));
    settings.routes.clear();
    assert!(settings.targets(Severity::Critical, "price_spike", "AAPL").is_empty());
}

#[test]
fn a_cooldown_is_by_symbol_and_type_and_counts_from_the_last_alert_sent() {
    let mut policy = Policy::new(settings(), []);
    judge(&mut policy, &anomaly("AAPL", "price_spike", 0), 0);
    assert_eq!(tick(&mut policy, 5).outgoing.len(), 1);
    assert_eq!(held(&judge(&mut policy, &anomaly("AAPL", "price_spike", 100), 100)), ["cooldown"]);
    // Another type and another symbol are no repeat.
    judge(&mut policy, &anomaly("AAPL", "volume_spike", 100), 100);
    judge(&mut policy, &anomaly("MSFT", "price_spike", 100), 100);
    assert_eq!(tick(&mut policy, 105).outgoing.len(), 2);
    // What was held back does not make it longer.
    assert_eq!(held(&judge(&mut policy, &anomaly("AAPL", "price_spike", 299), 299)), ["cooldown"]);
    judge(&mut policy, &anomaly("AAPL", "price_spike", 300), 300);
    assert_eq!(said(&tick(&mut policy, 305).outgoing), [("slack", NotificationKind::Fired, vec!["AAPL"])]);
}

#[test]
fn what_goes_on_is_told_of_once_the_cooldown_is_over() {
    let mut policy = Policy::new(settings(), []);
    let first = anomaly("AAPL", "rsi_overbought", 0);
    judge(&mut policy, &first, 0);
    tick(&mut policy, 5);
    judge(&mut policy, &in_state(&first, AnomalyState::Ended), 60);
    assert_eq!(said(&tick(&mut policy, 65).outgoing), [("slack", NotificationKind::Resolved, vec!["AAPL"])]);
    assert_eq!(held(&judge(&mut policy, &anomaly("AAPL", "rsi_overbought", 100), 100)), ["cooldown"]);
    assert!(tick(&mut policy, 299).is_empty());
    tick(&mut policy, 300);
    assert_eq!(said(&tick(&mut policy, 305).outgoing), [("slack", NotificationKind::Fired, vec!["AAPL"])]);
}

#[test]
fn a_storm_is_one_message_a_channel() {
    let mut settings = settings();
    settings.routes = vec![route(&["slack", "email"])];
    let mut policy = Policy::new(settings.clone(), []);
    let (mut changes, mut num_decisions) = (Vec::new(), 0);
    for number in 0..1_000 {
        policy.anomaly(&anomaly(&format!("S{number:04}"), "price_spike", 0), at(0));
        if number % 500 == 499 {
            policy.tick(at(0));
            changes.push(policy.take_changes());
        }
    }
    changes.push(tick(&mut policy, 5));
    let outgoing: Vec<Outgoing> = changes.iter().flat_map(|changes| changes.outgoing.clone()).collect();
    num_decisions += changes.iter().map(|changes| changes.alerts.len()).sum::<usize>();
    assert_eq!((outgoing.len(), num_decisions), (2, 2_000));
    for message in &outgoing {
        let notification = &message.body.notification;
        assert_eq!(notification.title, "1000 symbols: price spike");
        assert_eq!(notification.text.lines().count(), settings.lines_max + 1);
        assert!(notification.text.ends_with("and 980 more"), "{}", notification.text);
        assert_eq!(message.body.alerts.len(), 1_000);
    }
    // The next group does not go out right behind it.
    judge(&mut policy, &anomaly("LATER", "price_spike", 6), 6);
    assert!(tick(&mut policy, 34).is_empty());
    assert_eq!(said(&tick(&mut policy, 35).outgoing).len(), 2);
}

#[test]
fn memory_is_bounded() {
    let mut settings = settings();
    settings.incidents_max = 100;
    let mut policy = Policy::new(settings, []);
    for number in 0..1_000_i64 {
        policy.anomaly(&anomaly(&format!("S{number:04}"), "price_spike", number * 10), at(number * 10));
        policy.tick(at(number * 10));
        policy.take_changes();
        assert!(policy.num_known() <= 100, "{}", policy.num_known());
    }
    // Where all wait, the next one is held back.
    let mut settings = self::settings();
    settings.incidents_max = 3;
    let mut policy = Policy::new(settings, []);
    for symbol in ["A", "B", "C"] {
        policy.anomaly(&anomaly(symbol, "price_spike", 0), at(0));
    }
    policy.take_changes();
    assert_eq!(held(&judge(&mut policy, &anomaly("D", "price_spike", 0), 0)), ["too_many"]);
    assert_eq!(policy.num_known(), 3);
}

fn silence(end: i64, symbols: &[&str]) -> Silence {
    Silence {
        id: "s1".to_owned(),
        start: at(0),
        end: at(end),
        symbols: symbols.iter().map(|name| (*name).to_owned()).collect(),
        max_severity: Severity::Critical,
        ..Silence::default()
    }
}

#[test]
fn a_silence_holds_back_until_its_end() {
    let mut policy = Policy::new(settings(), []);
    policy.set_silences(vec![silence(600, &["AAPL"])]);
    assert_eq!(held(&judge(&mut policy, &anomaly("AAPL", "price_spike", 1), 1)), ["silenced"]);
    assert_eq!(held(&judge(&mut policy, &anomaly("AAPL", "rsi_oversold", 1), 1)), ["silenced"]);
    judge(&mut policy, &anomaly("MSFT", "price_spike", 1), 1);
    assert_eq!(said(&tick(&mut policy, 6).outgoing), [("slack", NotificationKind::Fired, vec!["MSFT"])]);
    assert!(tick(&mut policy, 599).is_empty());
    // The spike is long ago; the excursion goes on.
    tick(&mut policy, 600);
    let changes = tick(&mut policy, 605);
    assert_eq!(said(&changes.outgoing), [("slack", NotificationKind::Fired, vec!["AAPL"])]);
    assert_eq!(changes.outgoing[0].body.alerts[0].anomaly_type, "rsi_oversold");
    // One that comes while a group waits counts too, and its alert does not begin a cooldown.
    judge(&mut policy, &anomaly("BTC-USD", "price_spike", 700), 700);
    policy.set_silences(vec![silence(900, &["BTC-*"])]);
    assert_eq!(held(&tick(&mut policy, 705)), ["silenced"]);
    policy.set_silences(Vec::new());
    judge(&mut policy, &anomaly("BTC-USD", "price_spike", 720), 720);
    assert_eq!(tick(&mut policy, 725).outgoing.len(), 1);
}

fn down(symbols: &[&str]) -> BTreeSet<String> {
    symbols.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_feed_that_is_down_holds_back_the_price_alerts_it_causes() {
    let mut policy = Policy::new(settings(), []);
    policy.set_down(&down(&["AAPL"]), at(0));
    assert_eq!(held(&judge(&mut policy, &anomaly("AAPL", "price_spike", 1), 1)), ["feed_down"]);
    // What is not judged by prices goes out.
    judge(&mut policy, &anomaly("AAPL", "stale_feed", 1), 1);
    assert_eq!(tick(&mut policy, 6).outgoing.len(), 1);
    // The first trade after the outage is far from the bars before it.
    policy.set_down(&down(&[]), at(60));
    assert_eq!(held(&judge(&mut policy, &anomaly("AAPL", "price_spike", 61), 61)), ["feed_down"]);
    judge(&mut policy, &anomaly("AAPL", "price_spike", 90), 90);
    assert_eq!(tick(&mut policy, 95).outgoing.len(), 1);
}

#[test]
fn no_data_is_not_an_end() {
    let mut policy = Policy::new(settings(), []);
    let excursion = anomaly("AAPL", "rsi_overbought", 0);
    judge(&mut policy, &excursion, 0);
    tick(&mut policy, 5);
    policy.set_down(&down(&["AAPL", "MSFT"]), at(60));
    let changes = policy.take_changes();
    assert_eq!(changes.incidents[0].state, IncidentState::NoData);
    assert_eq!(said(&tick(&mut policy, 65).outgoing), [("slack", NotificationKind::NoData, vec!["AAPL"])]);
    policy.set_down(&down(&[]), at(100));
    assert_eq!(policy.take_changes().incidents[0].state, IncidentState::Open);
    judge(&mut policy, &in_state(&excursion, AnomalyState::Ended), 200);
    assert_eq!(said(&tick(&mut policy, 205).outgoing), [("slack", NotificationKind::Resolved, vec!["AAPL"])]);
    // An outage that is over before anybody was told is told to nobody.
    let other = anomaly("MSFT", "rsi_oversold", 300);
    judge(&mut policy, &other, 300);
    tick(&mut policy, 305);
    policy.set_down(&down(&["MSFT"]), at(310));
    policy.set_down(&down(&[]), at(312));
    assert!(tick(&mut policy, 400).outgoing.is_empty());
}

#[test]
fn who_was_told_is_told_that_it_ended_or_never_was() {
    let (ended, withdrawn) = (AnomalyState::Ended, AnomalyState::Withdrawn);
    for (state, kind, then) in [
        (ended, NotificationKind::Resolved, IncidentState::Resolved),
        (withdrawn, NotificationKind::Withdrawn, IncidentState::Withdrawn),
    ] {
        let mut policy = Policy::new(settings(), []);
        let told = anomaly("AAPL", "rsi_overbought", 0);
        judge(&mut policy, &told, 0);
        tick(&mut policy, 5);
        let changes = judge(&mut policy, &in_state(&told, state), 60);
        assert_eq!(changes.incidents[0].state, then);
        assert_eq!(said(&tick(&mut policy, 65).outgoing), [("slack", kind, vec!["AAPL"])]);
        assert_eq!(policy.num_known(), 0, "it is closed, and all is said");
        // Who was told of nothing hears of nothing.
        let untold = anomaly("MSFT", "rsi_overbought", 0);
        judge(&mut policy, &untold, 0);
        let changes = judge(&mut policy, &in_state(&untold, state), 1);
        assert_eq!(held(&changes), [if state == ended { "ended" } else { "withdrawn" }]);
        assert!(tick(&mut policy, 60).is_empty());
    }
}

#[test]
fn what_was_withdrawn_and_holds_again_is_told_again() {
    let mut policy = Policy::new(settings(), []);
    let spike = anomaly("AAPL", "price_spike", 0);
    judge(&mut policy, &spike, 0);
    let mut stored = tick(&mut policy, 5).incidents;
    let withdrawn = in_state(&spike, AnomalyState::Withdrawn);
    judge(&mut policy, &withdrawn, 10);
    stored.extend(tick(&mut policy, 15).incidents);
    let again = in_state(&withdrawn, AnomalyState::Active);
    assert!(!policy.knows(&again.id));
    policy.adopt(stored.pop().expect("it was stored"));
    judge(&mut policy, &again, 20);
    assert_eq!(said(&tick(&mut policy, 50).outgoing), [("slack", NotificationKind::Fired, vec!["AAPL"])]);
    // Found again before anybody was told of the end: they know how it is.
    judge(&mut policy, &in_state(&again, AnomalyState::Withdrawn), 60);
    let found = Anomaly { log_pos: 99, ..spike };
    assert_eq!(held(&judge(&mut policy, &found, 61)), ["goes_on"]);
    assert!(tick(&mut policy, 200).is_empty());
}

#[test]
fn an_incident_that_somebody_sees_to_waits_no_more() {
    let mut policy = Policy::new(settings(), []);
    let excursion = anomaly("AAPL", "rsi_overbought", 0);
    judge(&mut policy, &excursion, 0);
    assert!(policy.acknowledge(&excursion.id, "ann", at(2)));
    let changes = policy.take_changes();
    assert_eq!(changes.incidents[0].state, IncidentState::Acknowledged);
    assert_eq!(
        (held(&changes), changes.incidents[0].acknowledged_by.as_deref()),
        (vec!["acknowledged"], Some("ann"))
    );
    assert!(tick(&mut policy, 10).is_empty());
    assert!(!policy.acknowledge("nothing", "ann", at(2)));
}

#[test]
fn what_is_long_ago_is_not_sent_and_does_not_stay_open() {
    let mut policy = Policy::new(settings(), []);
    let changes = judge(&mut policy, &anomaly("AAPL", "price_spike", -16 * 60), 0);
    assert_eq!((held(&changes), changes.incidents[0].state), (vec!["too_old"], IncidentState::Expired));
    judge(&mut policy, &anomaly("AAPL", "price_spike", 0), 0);
    tick(&mut policy, 5);
    assert_eq!(policy.num_open(), 1);
    let changes = tick(&mut policy, 86_401);
    assert_eq!(changes.incidents[0].state, IncidentState::Expired);
    assert_eq!(policy.num_known(), 0);
}

/// One step of a story.
#[derive(Clone, Debug)]
enum Step {
    Anomaly(usize, usize, AnomalyState),
    Wait(i64),
    Restart,
    Silence(usize),
    Down(usize),
    Up,
    Acknowledge(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let state = prop::sample::select(AnomalyState::ALL.to_vec());
    let step = prop_oneof![
        6 => (0..3_usize, 0..6_usize, state).prop_map(|(s, n, state)| Step::Anomaly(s, n, state)),
        4 => (1..120_i64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => (0..3_usize).prop_map(Step::Silence),
        1 => (0..3_usize).prop_map(Step::Down),
        1 => Just(Step::Up),
        1 => (0..3_usize, 0..6_usize).prop_map(|(s, n)| Step::Acknowledge(s, n)),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the store would hold after every step.
#[derive(Default)]
struct Store {
    incidents: BTreeMap<String, Incident>,
    outgoing: Vec<Outgoing>,
    alerts: BTreeSet<String>,
}

impl Store {
    fn take(&mut self, changes: Changes) {
        for incident in changes.incidents {
            self.incidents.insert(incident.id.clone(), incident);
        }
        for alert in changes.alerts {
            assert!(self.alerts.insert(alert.id.clone()), "{} was decided twice", alert.id);
        }
        self.outgoing.extend(changes.outgoing);
    }

    /// What a start loads.
    fn kept(&self, now: Nanos, cooldown: i64) -> Vec<Incident> {
        let is_kept = |incident: &&Incident| {
            !incident.state.is_closed()
                || !incident.waiting.is_empty()
                || incident.sent.is_some_and(|sent| sent.plus(cooldown) > now)
        };
        self.incidents.values().filter(is_kept).cloned().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens, restarts included: an incident is told once until its end, an end only to those who know of the
    /// beginning, and no decision is made twice.
    #[test]
    fn any_story_keeps_the_promises(steps in steps()) {
        let settings = settings();
        let (mut policy, mut store) = (Policy::new(settings.clone(), []), Store::default());
        let (mut now, mut log_pos) = (at(0), 0);
        let mut is_down = BTreeSet::new();
        let mut silences = Vec::new();
        let types = ["price_spike", "rsi_overbought"];
        let symbols = ["A", "B", "C"];
        for step in steps {
            log_pos += 1;
            match step {
                Step::Anomaly(symbol, number, state) => {
                    let mut found = anomaly(symbols[symbol], types[number % 2], 0);
                    found.id = format!("{}/{number}", found.symbol);
                    (found.time, found.state, found.log_pos) = (now, state, log_pos);
                    if !policy.knows(&found.id) && let Some(stored) = store.incidents.get(&found.id) {
                        policy.adopt(stored.clone());
                    }
                    policy.anomaly(&found, now);
                }
                Step::Wait(seconds) => now = now.plus(seconds * SECOND),
                Step::Restart => {
                    policy = Policy::new(settings.clone(), store.kept(now, settings.cooldown));
                    policy.set_silences(Vec::clone(&silences));
                    policy.set_down(&is_down, now);
                }
                Step::Silence(symbol) => {
                    let end = now.plus(5 * MINUTE);
                    silences = vec![Silence { end, ..silence(0, &[symbols[symbol]]) }];
                    policy.set_silences(silences.clone());
                }
                Step::Down(symbol) => {
                    is_down.insert(symbols[symbol].to_owned());
                    policy.set_down(&is_down, now);
                }
                Step::Up => {
                    is_down.clear();
                    policy.set_down(&is_down, now);
                }
                Step::Acknowledge(symbol, number) => {
                    policy.acknowledge(&format!("{}/{number}", symbols[symbol]), "ann", now);
                }
            }
            policy.tick(now);
            store.take(policy.take_changes());
        }
        let ids: BTreeSet<&str> = store.outgoing.iter().map(|message| message.id.as_str()).collect();
        prop_assert_eq!(ids.len(), store.outgoing.len(), "every message has an id of its own");
        let (mut told, mut over): (BTreeSet<&str>, BTreeSet<&str>) = (BTreeSet::new(), BTreeSet::new());
        for message in &store.outgoing {
            for alert in &message.body.alerts {
                let id = alert.anomaly_id.as_str();
                match message.body.notification.kind {
                    NotificationKind::Fired => {
                        over.remove(id);
                        prop_assert!(told.insert(id), "{id} was told twice");
                    }
                    NotificationKind::NoData => prop_assert!(told.contains(id)),
                    NotificationKind::Resolved => {
                        prop_assert!(told.remove(id), "{id} ended, and nobody knew of it");
                        over.insert(id);
                    }
                    // Also of one that is over: it never was.
                    NotificationKind::Withdrawn => {
                        prop_assert!(told.remove(id) || over.remove(id), "{id} was withdrawn from nobody");
                    }
                    NotificationKind::Test => prop_assert!(false, "nobody tests"),
                }
            }
        }
    }
}
