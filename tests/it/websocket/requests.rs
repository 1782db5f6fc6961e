//! Requests that cannot be carried out, and handshakes that are none: what the client is told.

use super::world::World;
use std::io::{Read, Write};
use std::net::TcpStream;
use tickwire::config::Limits;
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

#[test]
fn a_fault_names_the_field_and_only_that() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let mut client = world.connect();
    client.frame();
    for (text, field) in [
        (r#"{"symbols":["AAPL"]}"#, "type"),
        (r#"{"type":1}"#, "type"),
        (r#"{"type":"subscribe"}"#, "symbols"),
        (r#"{"type":"subscribe","symbols":{}}"#, "symbols"),
        (r#"{"type":"subscribe","symbols":[1]}"#, "symbols"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"channels":7}"#, "channels"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"channels":[]}"#, "channels"),
        (r#"{"type":"unsubscribe","symbols":["AAPL"],"channels":[]}"#, "channels"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"windows":[]}"#, "windows"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"channels":["bars"],"windows":[null]}"#, "windows"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"forming":"yes"}"#, "forming"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"interval_ms":10001}"#, "interval_ms"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"interval_ms":-1}"#, "interval_ms"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"interval_ms":"100"}"#, "interval_ms"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"interval_ms":1e3}"#, "interval_ms"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"since":5}"#, "since"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"since":{}}"#, "since.epoch"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"since":{"epoch":"x","run":1}}"#, "since.run"),
        (
            r#"{"type":"subscribe","symbols":["AAPL"],"since":{"epoch":"x","seqs":{"ticks:AAPL":-4}}}"#,
            "since.seqs",
        ),
    ] {
        client.send(text);
        let error = client.frame();
        assert_eq!(
            (&error["type"], &error["code"]),
            (&"error".into(), &"bad_request".into()),
            "{text}: {error}"
        );
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("`{field}` ")), "{text}: {detail}");
        let fields = ["type", "symbols", "channels", "windows", "forming", "interval_ms", "since"];
        let named = fields.iter().filter(|name| detail.contains(&format!("`{name}`")));
        assert!(named.count() <= 1, "no other field is named: {detail}");
        for word in ["expected", "invalid", "untagged", "variant", "u32", "u64", "line "] {
            assert!(!detail.contains(word), "the words of a library: {detail}");
        }
    }
    for text in ["x", "{\"type\":", "", "\"a"] {
        client.send(text);
        let error = client.frame();
        assert_eq!(error["code"], "bad_json", "{text}");
        assert!(!error["detail"].as_str().unwrap().contains("expected"), "{error}");
    }
    // What a newer client may send besides does no harm, and what is absent may be said to be.
    client.send(r#"{"type":"subscribe","symbols":"AAPL","channels":null,"since":null,"interval_ms":10000,"more":[1]}"#);
    assert_eq!(client.until("subscription")["status"], "success");
}

#[test]
fn text_that_is_not_utf_8_closes_with_1007_whole_or_in_pieces() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let frame = |data, bytes: &[u8], is_last| {
        Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(data), is_last))
    };
    let table: [Vec<Message>; 3] = [
        vec![frame(Data::Text, b"{\"type\":\"ping\xff\"}", true)],
        vec![frame(Data::Text, b"{\"type\":\"pi", false), frame(Data::Continue, b"ng\xc3", true)],
        vec![
            frame(Data::Text, b"\xc3", false),
            frame(Data::Continue, b"\x28", false),
            frame(Data::Continue, b"", true),
        ],
    ];
    for frames in table {
        let mut client = world.connect();
        client.frame();
        for frame in frames {
            client.socket.send(frame).unwrap();
        }
        let (told, closed) = client.closed();
        assert_eq!((told.len(), closed), (0, (1007, "utf8".to_owned())));
    }
    // A character may be cut by the pieces of a message, and bytes need not be a text.
    let mut client = world.connect();
    client.frame();
    client.socket.send(frame(Data::Text, b"{\"type\":\"ping\",\"x\":\"\xc3", false)).unwrap();
    client.socket.send(frame(Data::Continue, b"\xa4\"}", true)).unwrap();
    assert_eq!(client.frame()["type"], "pong");
    client.socket.send(Message::binary(b"{\xff}".to_vec())).unwrap();
    assert_eq!(client.frame()["code"], "bad_json");
}

#[test]
fn a_handshake_of_another_version_or_with_a_wrong_key_is_refused() {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let world = World::start(Limits::default(), false);
    world.begin();
    let ask = |headers: &[(&str, &str)]| {
        let mut stream = TcpStream::connect(world.address()).unwrap();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(stream, "GET / HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n").unwrap();
        let mut answer = vec![0; 4_096];
        let len = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..len]).to_lowercase()
    };
    let upgrade = [("upgrade", "websocket"), ("connection", "keep-alive, Upgrade")];
    let with = |version: &'static str, key: &'static str| {
        let more = [("sec-websocket-version", version), ("sec-websocket-key", key)];
        ask(&[upgrade.as_slice(), &more].concat())
    };
    assert!(with("13", KEY).starts_with("http/1.1 101 "), "{}", with("13", KEY));
    for version in ["12", "8", "7", "", "13, 8", "thirteen"] {
        let answer = with(version, KEY);
        assert!(
            answer.starts_with("http/1.1 426 ") && answer.contains("sec-websocket-version: 13\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\"upgrade_required\""), "{answer}");
    }
    for key in ["", "x", "AAAA", "not base64 at all!", "dGhlIHNhbXBsZSBub25jZSBsb25nZXI="] {
        let answer = with("13", key);
        assert!(
            answer.starts_with("http/1.1 400 ") && answer.contains("\"bad_handshake\""),
            "`{key}`: {answer}"
        );
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    let version = ("sec-websocket-version", "13");
    let answer = ask(&[upgrade[0], upgrade[1], version]);
    assert!(answer.starts_with("http/1.1 400 ") && answer.contains("is missing"), "{answer}");
    let answer = ask(&[upgrade[0], version, ("sec-websocket-key", KEY)]);
    assert!(answer.starts_with("http/1.1 400 ") && answer.contains("connection"), "{answer}");
    let answer = ask(&[upgrade[0], upgrade[1], ("sec-websocket-key", KEY)]);
    assert!(answer.starts_with("http/1.1 426 "), "without a version: {answer}");
}
