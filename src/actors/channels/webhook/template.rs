//! The body of a webhook: a template that receivers with a form of their own can be told by.
//!
//! A template is Jinja (<https://docs.rs/minijinja/latest/minijinja/syntax/>). Every `{{ … }}` is written as JSON, with the quotes
//! of a text: `{"text": {{ title }}}`. So no title can break out of its place. The variables are the fields of `Variables`.
//!
//! Promises: a template that is taken once gives JSON for every notification that has the same kinds of fields as a sample of
//! each kind. On failure: a fault with its line, when the template is made; what only a real notification shows is an error.

use super::super::text::{color, headline, sparkline};
use crate::actors::channels::sample::sample;
use crate::models::notification::{Fact, Notification, NotificationKind};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

/// The name that faults show.
const NAME: &str = "body";

/// A body that is made anew for each notification.
pub struct Template(Option<Environment<'static>>);

/// What a template can name; without a template, the body.
#[derive(Serialize)]
struct Variables<'a> {
    /// Schema of the body.
    v: u8,
    id: &'a str,
    /// `fired`, `resolved`, `withdrawn`, `no_data` or `test`.
    kind: &'static str,
    severity: &'static str,
    #[serde(rename = "type")]
    alert_type: &'a str,
    title: &'a str,
    /// The title with its severity or its end before it.
    headline: String,
    text: &'a str,
    symbols: &'a [String],
    facts: &'a [Fact],
    time: String,
    began: String,
    /// The closes of the last bars, oldest first.
    closes: Vec<f64>,
    sparkline: String,
    /// As HTML writes it: `#c62828`.
    color: &'static str,
    link: Option<&'a str>,
}

impl<'a> Variables<'a> {
    fn of(notification: &'a Notification) -> Variables<'a> {
        Variables {
            v: 1,
            id: &notification.id,
            kind: notification.kind.as_str(),
            severity: notification.severity.as_str(),
            alert_type: &notification.alert_type,
            title: &notification.title,
            headline: headline(notification),
            text: &notification.text,
            symbols: &notification.symbols,
            facts: &notification.facts,
            time: notification.time.to_rfc3339(),
            began: notification.began.to_rfc3339(),
            closes: notification.bars.iter().map(|bar| bar.close).filter(|close| close.is_finite()).collect(),
            sparkline: sparkline(&notification.bars),
            color: color(notification),
            link: notification.link.as_deref(),
        }
    }
}

impl Template {
    /// Reads a template; an empty one is the whole notification as JSON.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(text: &str) -> Result<Template, String> {
        if text.trim().is_empty() {
            return Ok(Template(None));
        }
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        // A name that is misspelt would be an empty place in every alert.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| fault(&error))?;
        let template = Template(Some(environment));
        for kind in NotificationKind::ALL {
            let link = (kind != NotificationKind::NoData).then(|| "https://desk.example/".to_owned());
            let notification = Notification { kind, ..sample(None, link) };
            let bare = Notification {
                symbols: Vec::new(),
                facts: Vec::new(),
                bars: Vec::new(),
                ..notification.clone()
            };
            for notification in [notification, bare] {
                template.body(&notification)?;
            }
        }
        Ok(template)
    }

    /// Returns the body of a notification.
    ///
    /// # Errors
    /// What the template cannot do with it.
    pub fn body(&self, notification: &Notification) -> Result<Vec<u8>, String> {
        let variables = Variables::of(notification);
        let Some(environment) = &self.0 else {
            return serde_json::to_vec(&variables).map_err(|error| error.to_string());
        };
        let template = environment.get_template(NAME).map_err(|error| fault(&error))?;
        let body = template.render(&variables).map_err(|error| fault(&error))?;
        let parsed: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&body);
        parsed.map_err(|error| {
            let advice = "`{{ … }}` writes its own quotes: `{\"text\": {{ title }}}`";
            format!("is no JSON once it is filled in: {error}; {advice}")
        })?;
        Ok(body.into_bytes())
    }
}

/// Returns what is wrong with a template, and where.
fn fault(error: &minijinja::Error) -> String {
    let place = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("cannot be used: {}{detail}{place}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body(template: &str, notification: &Notification) -> Value {
        let template = Template::new(template).unwrap_or_else(|fault| panic!("{template}: {fault}"));
        serde_json::from_slice(&template.body(notification).expect("a body")).expect("JSON")
    }

    #[test]
    fn without_a_template_the_body_is_the_whole_notification() {
        let notification = sample(None, None);
        let body = body("", &notification);
        assert_eq!(body["kind"], "test");
        assert_eq!(body["symbols"], json!(["AAPL"]));
        assert_eq!(body["facts"][1], json!({"label": "Mean of 20 bars", "text": "200.60 USD"}));
        assert_eq!(body["closes"].as_array().map(Vec::len), Some(notification.bars.len()));
        assert_eq!(body["link"], Value::Null);
    }

    #[test]
    fn what_is_filled_in_stays_in_its_place() {
        let title = "\", \"admin\": true, \"x\": \"\\ \n</script>".to_owned();
        let notification = Notification { title: title.clone(), ..sample(None, None) };
        let template = r#"{"text": {{ title }}, "n": {{ symbols | length }}, "all": {{ "*" ~ title ~ "*" }},
            "facts": [{% for fact in facts %}{"k": {{ fact.label }}}{% if not loop.last %},{% endif %}{% endfor %}]}"#;
        let body = body(template, &notification);
        assert_eq!(body["text"], title);
        assert_eq!((&body["n"], body["all"].as_str()), (&json!(1), Some(format!("*{title}*").as_str())));
        assert_eq!(body["facts"].as_array().map(Vec::len), Some(4));
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(4));
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_with_its_place() {
        for (template, said) in [
            ("{\"text\": {{ titel }}}", "undefined value"),
            ("{\"text\":\n {% if %}}", "line 2"),
            ("{\"text\": \"{{ title }}\"}", "is no JSON"),
            ("{\"text\": {{ symbols[0] }}}", "undefined value"),
            ("plain {{ title }}", "is no JSON"),
        ] {
            let Err(fault) = Template::new(template) else { panic!("{template} was taken") };
            assert!(fault.contains(said), "{template}: {fault}");
        }
    }

    #[test]
    fn the_examples_of_the_manual_are_templates() {
        let manual = include_str!("../../../../docs/alerts.md");
        let bodies: Vec<&str> = manual
            .split("body = '''\n")
            .skip(1)
            .map(|rest| rest.split("'''").next().unwrap_or_default())
            .collect();
        assert!(bodies.len() >= 3, "Telegram, Discord and Teams");
        for template in bodies {
            body(template, &sample(None, Some("https://desk.example/".to_owned())));
        }
    }
}
