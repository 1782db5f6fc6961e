//! What librdkafka reports, in words that tell what to do.
//!
//! Promises: one line, which repeats no password. What is not known here is told as librdkafka tells it.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::fmt;

/// What is wrong with a broker, a topic or a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaFault {
    /// What is wrong, in one line.
    pub text: String,
    /// True when another try of the same may help.
    pub is_transient: bool,
    /// True when the message itself is refused, so that without it the others are taken.
    pub is_of_message: bool,
    /// The broker whose certificate could not be verified, for reasons that are not known: `host:port`.
    pub unverified: Option<String>,
}

impl fmt::Display for KafkaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for KafkaFault {}

impl KafkaFault {
    /// Makes one that may go away by itself.
    #[must_use]
    pub fn transient(text: impl Into<String>) -> KafkaFault {
        KafkaFault { text: text.into(), is_transient: true, is_of_message: false, unverified: None }
    }

    /// Makes one that somebody has to mend.
    #[must_use]
    pub fn permanent(text: impl Into<String>) -> KafkaFault {
        KafkaFault { text: text.into(), is_transient: false, is_of_message: false, unverified: None }
    }

    /// Makes one of a message.
    fn of_message(text: &str) -> KafkaFault {
        KafkaFault { is_of_message: true, ..KafkaFault::permanent(text) }
    }

    /// Says why a certificate could not be verified, once that is known.
    #[must_use]
    pub fn with_reason(self, reason: &str) -> KafkaFault {
        match &self.unverified {
            Some(address) => {
                KafkaFault::permanent(format!("the certificate of the Kafka broker `{address}` {reason}"))
            }
            None => self,
        }
    }

    /// Tells what a call has failed with.
    #[must_use]
    pub fn of(error: &KafkaError) -> KafkaFault {
        match error.rdkafka_error_code() {
            Some(code) => KafkaFault::explain(code, ""),
            None => KafkaFault::permanent(error.to_string()),
        }
    }

    /// Tells what librdkafka has reported, with the text that came with it.
    #[must_use]
    pub fn explain(code: RDKafkaErrorCode, reason: &str) -> KafkaFault {
        use RDKafkaErrorCode as Code;
        let place = place(reason);
        let told = told(reason);
        match code {
            Code::Authentication | Code::SaslAuthenticationFailed => {
                KafkaFault::permanent(format!("{place} refuses user or password: {told}; see `kafka.sasl`"))
            }
            Code::UnsupportedSASLMechanism => {
                KafkaFault::permanent(format!("{place} has no such `kafka.sasl.mechanism`: {told}"))
            }
            Code::SSL => tls_fault(reason, &place, &told),
            Code::BrokerTransportFailure if is_tls(&told) => tls_fault(reason, &place, &told),
            Code::Resolve => KafkaFault::transient(format!("the name of {place} is not known: {told}")),
            Code::BrokerTransportFailure | Code::AllBrokersDown => {
                KafkaFault::transient(format!("no connection to {place}: {told}"))
            }
            Code::MessageTimedOut | Code::OperationTimedOut | Code::RequestTimedOut | Code::TimedOutQueue => {
                KafkaFault::transient("no broker has answered in time")
            }
            Code::PurgeQueue | Code::PurgeInflight => {
                KafkaFault::transient("it was given up before an answer came")
            }
            Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => KafkaFault::transient(
                "too few copies of a partition are in step (`min.insync.replicas`); brokers are missing",
            ),
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
                KafkaFault::of_message("the message is larger than the topic takes (`max.message.bytes`)")
            }
            Code::InvalidRecord => KafkaFault::of_message("the topic refuses the message"),
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                KafkaFault::transient("the topic is not there, or has fewer partitions")
            }
            Code::TopicAuthorizationFailed => KafkaFault::permanent(
                "we may not write to the topic, or not read it: its access list lacks us",
            ),
            Code::GroupAuthorizationFailed => {
                KafkaFault::permanent("we may not use the group: its access list lacks us")
            }
            Code::ClusterAuthorizationFailed => KafkaFault::permanent(
                "we may not do this in the cluster, such as make topics: its access list lacks us",
            ),
            other => {
                let text = if reason.is_empty() { other.to_string() } else { told };
                KafkaFault { is_transient: !is_permanent(other), ..KafkaFault::permanent(text) }
            }
        }
    }
}

/// Tells of a connection that could not be encrypted.
fn tls_fault(reason: &str, place: &str, told: &str) -> KafkaFault {
    let lower = told.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    let is_unverified = has("verify failed") || has("could not be verified");
    let text = if has("expired") {
        format!("the certificate of {place} has expired")
    } else if has("hostname mismatch") || has("ip address mismatch") {
        format!("the certificate of {place} names another host; see `kafka.tls.verify_hostname`")
    } else if is_unverified {
        format!(
            "the certificate of {place} is not signed by whom we trust, has expired or names another host; \
             see `kafka.tls.ca_file`: {told}"
        )
    } else if has("certificate required")
        || has("bad certificate")
        || has("certificate unknown")
        || has("handshake failure")
    {
        format!("{place} wants a certificate of ours that it trusts; see `kafka.tls.cert_file`: {told}")
    } else {
        format!("no encrypted connection to {place}: {told}")
    };
    let unverified = address(reason).filter(|_| is_unverified).map(str::to_owned);
    KafkaFault { unverified, ..KafkaFault::permanent(text) }
}

/// True where the encryption failed, and not only a connection that was encrypted.
fn is_tls(told: &str) -> bool {
    told.contains("SSL")
}

/// True for what trying again does not change.
fn is_permanent(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::InvalidArgument
            | Code::Fatal
            | Code::InvalidConfig
            | Code::InvalidTopic
            | Code::InvalidReplicationFactor
            | Code::InvalidPartitions
            | Code::PolicyViolation
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::UnsupportedCompressionType
            | Code::SSL
    )
}

/// Returns which broker a text speaks of: it begins with `protocol://host:port/number: `.
fn place(reason: &str) -> String {
    match address(reason) {
        Some(address) => format!("the Kafka broker `{address}`"),
        None => "the Kafka brokers".to_owned(),
    }
}

fn address(reason: &str) -> Option<&str> {
    let (address, _) = reason.split_once("://")?.1.split_once('/')?;
    (!address.contains(char::is_whitespace)).then_some(address)
}

/// Returns what a text says behind the broker's name, without how long that took.
fn told(reason: &str) -> String {
    let said = match reason.split_once(": ") {
        Some((place, said)) if place.contains("://") => said,
        _ => reason,
    };
    let said = said.split(" (after ").next().unwrap_or(said);
    if said.is_empty() { "it said no more".to_owned() } else { said.replace('\n', " ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as Code;

    #[test]
    fn each_report_says_where_and_what() {
        for (code, reason, text, is_transient) in [
            (
                Code::Authentication,
                "sasl_ssl://h:9093/bootstrap: SASL authentication error: Authentication failed (after 12ms in state AUTH_REQ)",
                "the Kafka broker `h:9093` refuses user or password: SASL authentication error: Authentication failed; see `kafka.sasl`",
                false,
            ),
            (
                Code::BrokerTransportFailure,
                "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
                "no connection to the Kafka brokers: 127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused",
                true,
            ),
            (
                Code::SSL,
                "ssl://h:9093/bootstrap: SSL handshake failed: certificate has expired (after 3ms in state SSL_HANDSHAKE)",
                "the certificate of the Kafka broker `h:9093` has expired",
                false,
            ),
            (
                Code::BrokerTransportFailure,
                "ssl://h:9093/1: Disconnected (after 4000ms in state UP)",
                "no connection to the Kafka broker `h:9093`: Disconnected",
                true,
            ),
            (Code::MessageTimedOut, "", "no broker has answered in time", true),
        ] {
            let fault = KafkaFault::explain(code, reason);
            assert_eq!((fault.text.as_str(), fault.is_transient), (text, is_transient), "{reason}");
        }
        assert!(KafkaFault::explain(Code::MessageSizeTooLarge, "").is_of_message);
        let unverified = "ssl://h:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: \
                          broker certificate could not be verified";
        let fault = KafkaFault::explain(Code::SSL, unverified);
        assert_eq!(fault.unverified.as_deref(), Some("h:9093"));
        assert_eq!(
            fault.with_reason("has expired").text,
            "the certificate of the Kafka broker `h:9093` has expired"
        );
    }
}
